// Command reference is a minimal grpc-go server: SyncDefinitions sends the current frame, and
// then each frame that is pushed, the same bytes on every stream.
//
// It prints {"port": N}; each line {"frame": BASE64} on standard input is pushed and answered
// with {"streams": N, "at": nanoseconds of CLOCK_REALTIME}. It ends with standard input.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

const (
	maxFrame = 1 << 20
	backlog  = 16 // frames waiting for a stream
)

// raw lets bytes pass: nothing is encoded for one stream.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (raw) Unmarshal(mem.BufferSlice, any) error { return nil }

type hub struct {
	mu      sync.Mutex
	current []byte
	streams map[chan []byte]struct{}
}

func (h *hub) join() (chan []byte, []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	frames := make(chan []byte, backlog)
	h.streams[frames] = struct{}{}
	return frames, h.current
}

func (h *hub) leave(frames chan []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, frames)
}

func (h *hub) push(frame []byte) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current = frame
	for frames := range h.streams {
		select {
		case frames <- frame:
		default: // a stream that is so far behind loses it
		}
	}
	return len(h.streams)
}

func (h *hub) serve(_ any, stream grpc.ServerStream) error {
	if err := stream.RecvMsg(nil); err != nil {
		return err
	}
	frames, frame := h.join()
	defer h.leave(frames)
	for {
		if err := stream.SendMsg(frame); err != nil {
			return err
		}
		select {
		case frame = <-frames:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func main() {
	lifetime := flag.Duration("lifetime", 15*time.Minute, "end by itself after so long")
	flag.Parse()
	time.AfterFunc(*lifetime, func() { os.Exit(1) })
	h := &hub{streams: map[chan []byte]struct{}{}}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}))
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "featmesh.sync.v1.SyncService",
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{
			{StreamName: "SyncDefinitions", Handler: h.serve, ServerStreams: true}},
	}, h)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() { _ = server.Serve(listener) }()
	control(h, listener.Addr().(*net.TCPAddr).Port)
}

func control(h *hub, port int) {
	answers := json.NewEncoder(os.Stdout)
	_ = answers.Encode(map[string]any{"port": port})
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 2*maxFrame)
	for lines.Scan() {
		var command struct{ Frame []byte }
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		at := time.Now().UnixNano()
		_ = answers.Encode(map[string]any{"streams": h.push(command.Frame), "at": at})
	}
}
