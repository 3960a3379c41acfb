package load

import (
	"fmt"
	"syscall"
	"time"
)

// Command is one line of standard input. Which fields it needs, its name says.
type Command struct {
	Do      string       `json:"do"`
	Group   string       `json:"group"`
	Open    Options      `json:"open"`
	Probe   ProbeOptions `json:"probe"`
	Changes []Change     `json:"changes"`
	Seconds float64      `json:"seconds"` // of patience
}

// Answer is one line of standard output, for one command.
type Answer struct {
	Error  string       `json:"error,omitempty"`
	CPU    float64      `json:"cpu"` // seconds that this process has used
	Now    int64        `json:"now"` // nanoseconds of CLOCK_REALTIME
	Late   int          `json:"late"`
	Report *Report      `json:"report,omitempty"`
	Probe  *ProbeReport `json:"probe,omitempty"`
}

// Generator holds groups of streams by name, and one probe at most.
type Generator struct {
	groups map[string]*group
	probe  *probe
}

// New has no streams yet.
func New() *Generator { return &Generator{groups: map[string]*group{}} }

// Do carries out one command and returns when it is done.
func (g *Generator) Do(command Command) Answer {
	answer := Answer{}
	if err := g.do(command, &answer); err != nil {
		answer.Error = err.Error()
	}
	answer.CPU, answer.Now = cpuSeconds(), time.Now().UnixNano()
	return answer
}

func (g *Generator) do(command Command, answer *Answer) error {
	patience := time.Duration(command.Seconds * float64(time.Second))
	switch command.Do {
	case "cpu":
		return nil
	case "open":
		return g.open(command, patience, answer)
	case "probe":
		return g.startProbe(command.Probe)
	case "probed":
		return g.finishProbe(patience, answer)
	}
	group := g.groups[command.Group]
	if group == nil {
		return fmt.Errorf("no group %q", command.Group)
	}
	switch command.Do {
	case "mark":
		for _, each := range group.streams {
			each.mark()
		}
	case "wait":
		answer.Late = group.waitFor(command.Changes, patience)
	case "report":
		report := group.report(command.Changes)
		answer.Report = &report
	case "release":
		return group.release()
	case "close":
		group.close()
		delete(g.groups, command.Group)
	default:
		return fmt.Errorf("no command %q", command.Do)
	}
	return nil
}

// open waits until every stream is current, or the time is over.
func (g *Generator) open(command Command, patience time.Duration, answer *Answer) error {
	if g.groups[command.Group] != nil {
		return fmt.Errorf("group %q is open", command.Group)
	}
	if err := command.Open.check(); err != nil {
		return err
	}
	group := newGroup(command.Open)
	g.groups[command.Group] = group
	go group.open()
	answer.Late = group.waitCurrent(patience)
	report := group.report(nil)
	answer.Report = &report
	return nil
}

func (g *Generator) startProbe(options ProbeOptions) error {
	if g.probe != nil {
		return fmt.Errorf("a probe is running")
	}
	probe, err := startProbe(options)
	g.probe = probe
	return err
}

func (g *Generator) finishProbe(patience time.Duration, answer *Answer) error {
	if g.probe == nil {
		return fmt.Errorf("no probe is running")
	}
	report := g.probe.finish(patience)
	g.probe = nil
	answer.Probe = &report
	return nil
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
