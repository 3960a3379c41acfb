// Command load is the push benchmark's load generator: JSON commands in, JSON answers out, a
// line each. It ends with its standard input, and by itself after -lifetime.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"featmesh.test/push/load"
)

const maxCommand = 1 << 20

func main() {
	lifetime := flag.Duration("lifetime", 15*time.Minute, "end by itself after so long")
	flag.Parse()
	time.AfterFunc(*lifetime, func() { fail("the generator's lifetime of %v is over", *lifetime) })
	debug.SetGCPercent(400) // memory is there; a collection during a push is not wanted
	generator := load.New()
	answers := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxCommand)
	for lines.Scan() {
		var command load.Command
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			fail("not a command: %v", err)
		}
		if err := answers.Encode(generator.Do(command)); err != nil {
			fail("standard output: %v", err)
		}
	}
	if err := lines.Err(); err != nil {
		fail("standard input: %v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}
