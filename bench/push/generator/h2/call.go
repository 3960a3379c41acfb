// Package h2 is a gRPC client made for reading: one goroutine for each connection, no
// allocation for a message, and flow control that a caller may stop. HTTP/2 itself is
// golang.org/x/net's framer.
package h2

import (
	"encoding/binary"
	"fmt"
)

// HeadBytes is how much of each message a Sink is shown.
const HeadBytes = 128

const prefixBytes = 5

// Sink takes what one call receives, on the connection's goroutine; it must not block.
type Sink interface {
	// Message is called at the end of each message with its first HeadBytes at most,
	// valid until it returns, its size, and when the kernel had it whole, in nanoseconds of
	// CLOCK_REALTIME. It says whether to go on granting the server room to send.
	Message(head []byte, size int, arrived int64) (grant bool)
	// Ended is called once: "" for status OK, else the status' number and message, or
	// what happened to the stream or its connection.
	Ended(status string)
}

// call cuts one stream's bytes into messages.
type call struct {
	sink    Sink
	unacked uint32 // bytes read for which the server has got no new room
	stopped bool
	prefix  [prefixBytes]byte
	filled  int // of prefix
	size    int // of the message
	seen    int // bytes of it
	head    [HeadBytes]byte
}

func (c *call) read(data []byte, arrived int64) {
	for len(data) > 0 || (c.filled == prefixBytes && c.seen == c.size) {
		if c.filled < prefixBytes {
			n := copy(c.prefix[c.filled:], data)
			c.filled, data = c.filled+n, data[n:]
			if c.filled < prefixBytes {
				return
			}
			c.size, c.seen = int(binary.BigEndian.Uint32(c.prefix[1:])), 0
		}
		n := min(len(data), c.size-c.seen)
		if c.seen < HeadBytes {
			copy(c.head[c.seen:], data[:n])
		}
		c.seen, data = c.seen+n, data[n:]
		if c.seen == c.size {
			c.filled = 0
			c.stopped = !c.sink.Message(c.head[:min(c.size, HeadBytes)], c.size, arrived)
		} else {
			return
		}
	}
}

// request is a message with gRPC's prefix.
func request(message []byte) []byte {
	data := make([]byte, prefixBytes, prefixBytes+len(message))
	binary.BigEndian.PutUint32(data[1:], uint32(len(message)))
	return append(data, message...)
}

func status(code, message string) string {
	switch code {
	case "0":
		return ""
	case "":
		return "ended without a status"
	}
	return fmt.Sprintf("status %s: %s", code, message)
}
