package h2

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// ErrClosed means that the connection has ended.
var ErrClosed = errors.New("the connection has ended")

const (
	readBuffer  = 16<<10 + 512 // one DATA frame of the common largest size, and its header
	writeBuffer = 512
	firstWindow = 65_535 // of a connection, by the standard
)

// Windows are the bytes that a server may send before it waits for room.
type Windows struct {
	Stream, Connection uint32
}

// Conn is one HTTP/2 connection without TLS, with any number of calls.
type Conn struct {
	conn    *stamped
	windows Windows
	reader  *http2.Framer // used by Run alone
	unacked uint32        // used by Run alone

	mu     sync.Mutex
	out    *bufio.Writer
	writer *http2.Framer
	next   uint32
	calls  map[uint32]*call
	closed bool
}

// Dial connects to target from the local address source; "" leaves it to the kernel.
func Dial(ctx context.Context, source, target string, windows Windows) (*Conn, error) {
	dialer := net.Dialer{KeepAlive: -1}
	if source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	dialed, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return nil, err
	}
	conn, err := stamp(dialed)
	if err != nil {
		return nil, errors.Join(err, dialed.Close())
	}
	out := bufio.NewWriterSize(conn, writeBuffer)
	c := &Conn{
		conn: conn, windows: windows, out: out, next: 1, calls: map[uint32]*call{},
		reader: http2.NewFramer(nil, bufio.NewReaderSize(conn, readBuffer)),
		writer: http2.NewFramer(out, nil),
	}
	c.reader.SetReuseFrames()
	c.reader.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return c, c.greet()
}

// greet only fills the buffer: the first call sends it.
func (c *Conn) greet() error {
	_, err := c.out.WriteString(http2.ClientPreface)
	return errors.Join(err,
		c.writer.WriteSettings(
			http2.Setting{ID: http2.SettingEnablePush, Val: 0},
			http2.Setting{ID: http2.SettingInitialWindowSize, Val: c.windows.Stream}),
		c.writer.WriteWindowUpdate(0, max(c.windows.Connection, firstWindow+1)-firstWindow))
}

// Headers are the request headers of a call. Their encoding has no state, so that calls and
// connections share it.
func Headers(authority, path, token string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", authority},
		{"content-type", "application/grpc"}, {"te", "trailers"}, {"user-agent", "featmesh-load"},
		{"authorization", "Bearer " + token},
	} {
		// Sensitive: never put into the table that the two sides of one connection share.
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true})
	}
	return block.Bytes()
}

// Open starts a call of one message; its sink takes what comes back.
func (c *Conn) Open(headers, message []byte, sink Sink) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	id := c.next
	c.next += 2
	c.calls[id] = &call{sink: sink}
	return errors.Join(
		c.writer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: id, BlockFragment: headers, EndHeaders: true}),
		c.writer.WriteData(id, true, request(message)),
		c.out.Flush())
}

// Release gives every call room for one message of the standard window, so that those whose
// sinks stopped them go on.
func (c *Conn) Release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	for id := range c.calls {
		err = errors.Join(err, c.writer.WriteWindowUpdate(id, firstWindow))
	}
	return errors.Join(err, c.out.Flush())
}

// Close ends the connection and, through Run, its calls.
func (c *Conn) Close() { _ = c.conn.Close() }

// Run reads until the connection ends, which ends all calls.
func (c *Conn) Run() {
	var err error
	for err == nil {
		var frame http2.Frame
		if frame, err = c.reader.ReadFrame(); err == nil {
			err = c.take(frame)
		}
	}
	c.mu.Lock()
	c.closed = true
	calls := c.calls
	c.calls = nil
	c.mu.Unlock()
	c.Close()
	for _, each := range calls {
		each.sink.Ended(fmt.Sprintf("connection: %v", err))
	}
}

func (c *Conn) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.DataFrame:
		return c.data(f)
	case *http2.MetaHeadersFrame:
		if f.StreamEnded() {
			c.end(f.StreamID, status(field(f, "grpc-status"), field(f, "grpc-message")))
		}
	case *http2.RSTStreamFrame:
		c.end(f.StreamID, "reset: "+f.ErrCode.String())
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return c.write(func() error { return c.writer.WriteSettingsAck() })
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.write(func() error { return c.writer.WritePing(true, f.Data) })
		}
	}
	return nil
}

func (c *Conn) data(f *http2.DataFrame) error {
	c.mu.Lock()
	call := c.calls[f.StreamID]
	c.mu.Unlock()
	if call == nil {
		return nil
	}
	call.read(f.Data(), c.conn.arrived())
	c.unacked += f.Length
	call.unacked += f.Length
	return errors.Join(
		c.grant(0, &c.unacked, c.windows.Connection, false),
		c.grant(f.StreamID, &call.unacked, c.windows.Stream, call.stopped || f.StreamEnded()))
}

// grant gives room back once half of a window is used up.
func (c *Conn) grant(id uint32, unacked *uint32, window uint32, stopped bool) error {
	if stopped || *unacked < max(window/2, 1) {
		return nil
	}
	room := *unacked
	*unacked = 0
	return c.write(func() error { return c.writer.WriteWindowUpdate(id, room) })
}

func (c *Conn) write(frame func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(frame(), c.out.Flush())
}

func (c *Conn) end(id uint32, status string) {
	c.mu.Lock()
	call := c.calls[id]
	delete(c.calls, id)
	c.mu.Unlock()
	if call != nil {
		call.sink.Ended(status)
	}
}

func field(f *http2.MetaHeadersFrame, name string) string {
	for _, each := range f.Fields {
		if each.Name == name {
			return each.Value
		}
	}
	return ""
}
