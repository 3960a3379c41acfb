package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"featmesh.test/push/h2"
	"featmesh.test/push/wire"
)

const (
	maxStreams  = 50_000
	maxStatuses = 20
	dialSeconds = 30
	lookOften   = 200 * time.Microsecond
	defaultRoom = 1 << 20
)

// Options say which streams a group opens, and how.
type Options struct {
	Target        string   `json:"target"`
	Streams       int      `json:"streams"`
	PerConnection int      `json:"per_connection"` // 0 is 1
	Keys          []string `json:"keys"`           // of SDKs; stream i uses the i-th, round and round
	Users         string   `json:"users"`          // set: client streams, of users with this prefix
	Tokens        [][]byte `json:"tokens"`         // ResumeToken that is held for each key; none is empty
	AtOnce        int      `json:"at_once"`        // streams being opened; 0 is all
	Tries         int      `json:"tries"`          // of a stream that ends before it is current
	Stalled       bool     `json:"stalled"`        // read no more once current
	Window        uint32   `json:"window"`         // of a stream; 0 is HTTP/2's default
	Sources       int      `json:"sources"`        // local addresses 127.0.0.2, .3 ...; 0 is the kernel's
}

func (o *Options) check() error {
	o.PerConnection = max(o.PerConnection, 1)
	if o.Window == 0 {
		o.Window = 65_535
	}
	if o.AtOnce == 0 {
		o.AtOnce = o.Streams
	}
	switch {
	case o.Streams < 1 || o.Streams > maxStreams:
		return fmt.Errorf("streams: %d; 1 to %d", o.Streams, maxStreams)
	case len(o.Keys) == 0 || o.Target == "":
		return fmt.Errorf("keys and target are required")
	case o.Sources < 0 || o.Sources > 200:
		return fmt.Errorf("sources: %d; 0 to 200", o.Sources)
	case len(o.Tokens) != 0 && len(o.Tokens) != len(o.Keys):
		return fmt.Errorf("tokens: %d for %d keys", len(o.Tokens), len(o.Keys))
	}
	return nil
}

// group is streams that were opened together.
type group struct {
	options Options
	headers [][]byte // for each key
	streams []*stream
	began   int64
	current atomic.Int64 // streams with their first change set
	settled atomic.Int64 // these, and those that have given up before
	stalls  atomic.Bool  // streams read no more once current
	closing atomic.Bool

	mu       sync.Mutex
	conns    map[*h2.Conn]struct{}
	statuses map[string]int // of streams that ended
	refused  int            // tries that were not the last
	failed   int            // streams that gave up or ended
}

func newGroup(options Options) *group {
	g := &group{
		began: time.Now().UnixNano(), options: options,
		conns: map[*h2.Conn]struct{}{}, statuses: map[string]int{},
	}
	g.stalls.Store(options.Stalled)
	path := wire.SyncDefinitions
	if options.Users != "" {
		path = wire.SyncEvaluations
	}
	for _, key := range options.Keys {
		g.headers = append(g.headers, h2.Headers(options.Target, path, key))
	}
	for number := range options.Streams {
		g.streams = append(g.streams, &stream{group: g, number: number})
	}
	return g
}

// open opens all streams, so many at a time; they become current later.
func (g *group) open() {
	for first := 0; first < len(g.streams); first += g.options.PerConnection {
		for first-int(g.settled.Load()) >= g.options.AtOnce {
			time.Sleep(lookOften)
		}
		if g.closing.Load() {
			return
		}
		go g.connect(g.streams[first:min(first+g.options.PerConnection, len(g.streams))])
	}
}

// connect reads one connection until it ends.
func (g *group) connect(streams []*stream) {
	conn, err := g.dial(streams[0].number)
	if err != nil {
		for _, each := range streams {
			each.mu.Lock()
			each.tries++
			each.mu.Unlock()
			each.Ended(fmt.Sprintf("dial: %v", err))
		}
		return
	}
	for _, each := range streams {
		each.mu.Lock()
		each.tries++
		each.mu.Unlock()
		if err := conn.Open(g.headers[each.key()], each.request(), each); err != nil {
			conn.Close() // Run ends its calls
		}
	}
	conn.Run()
	g.mu.Lock()
	delete(g.conns, conn)
	g.mu.Unlock()
}

func (g *group) dial(number int) (*h2.Conn, error) {
	source := ""
	if g.options.Sources > 0 {
		source = fmt.Sprintf("127.0.0.%d", 2+number%g.options.Sources)
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialSeconds*time.Second)
	defer cancel()
	conn, err := h2.Dial(ctx, source, g.options.Target, h2.Windows{
		Stream: g.options.Window, Connection: max(g.options.Window, defaultRoom)})
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing.Load() {
		conn.Close()
	}
	g.conns[conn] = struct{}{}
	return conn, nil
}

// later connects a refused stream again as an SDK does: at a random time, here within a second.
func (g *group) later(s *stream) {
	time.AfterFunc(rand.N(time.Second), func() {
		if !g.closing.Load() {
			g.connect([]*stream{s})
		}
	})
}

// release lets stalled streams read again.
func (g *group) release() error {
	g.stalls.Store(false)
	g.mu.Lock()
	defer g.mu.Unlock()
	var err error
	for conn := range g.conns {
		err = errors.Join(err, conn.Release())
	}
	return err
}

// close ends all connections without counting it as a fault.
func (g *group) close() {
	g.closing.Store(true)
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn := range g.conns {
		conn.Close()
	}
}

func (g *group) note(status string, again bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if again {
		g.refused++
	} else {
		g.failed++
	}
	if status == "" {
		status = "OK"
	}
	if _, known := g.statuses[status]; !known && len(g.statuses) >= maxStatuses {
		status = "others"
	}
	g.statuses[status]++
}

func (g *group) fault(text string) { g.note(text, false) }

func (s *stream) key() int { return s.number % len(s.group.options.Keys) }

func (s *stream) request() []byte {
	var token []byte
	if held := s.group.options.Tokens; len(held) > 0 {
		token = held[s.key()]
	}
	if users := s.group.options.Users; users != "" {
		return wire.EvaluationsRequest(token, fmt.Sprintf("%s%d", users, s.number))
	}
	return wire.DefinitionsRequest(token)
}
