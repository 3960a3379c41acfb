// Package load opens streams as SDKs do and keeps what each has received, and when.
package load

import (
	"fmt"
	"sort"
	"sync"
	"time"

	"featmesh.test/push/wire"
)

// maxReceipts bounds what a stream remembers; later ones are counted only.
const maxReceipts = 4096

// receipt is when a stream had a revision whole, in nanoseconds of CLOCK_REALTIME: when its
// last bytes were written, to the kernel of the reader, and when they were read.
type receipt struct {
	revision, written, at int64
}

// stream is one SDK. Its connection's goroutine writes, reports read.
type stream struct {
	group  *group
	number int

	mu        sync.Mutex
	applied   int64
	currentAt int64 // when the first change set was whole; 0 before
	tries     int
	ended     bool
	counts    Counts
	receipts  []receipt
}

// Counts is what streams have received since the last mark.
type Counts struct {
	Frames     int64 `json:"frames"`
	Bytes      int64 `json:"bytes"`
	Changes    int64 `json:"changes"`
	Full       int64 `json:"full"`
	Heartbeats int64 `json:"heartbeats"`
	Goodbyes   int64 `json:"goodbyes"`
	Overflow   int64 `json:"overflow"`
	Backwards  int64 `json:"backwards"`
}

func (c *Counts) add(other Counts) {
	c.Frames += other.Frames
	c.Bytes += other.Bytes
	c.Changes += other.Changes
	c.Full += other.Full
	c.Heartbeats += other.Heartbeats
	c.Goodbyes += other.Goodbyes
	c.Overflow += other.Overflow
	c.Backwards += other.Backwards
}

// Message takes a frame; a stalled reader stops granting room once it is current.
func (s *stream) Message(head []byte, size int, arrived int64) bool {
	at := time.Now().UnixNano()
	frame, err := wire.ReadFrame(head)
	if err != nil {
		s.group.fault(fmt.Sprintf("stream %d: %v", s.number, err))
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Frames++
	s.counts.Bytes += int64(size)
	switch frame.Kind {
	case wire.Heartbeat:
		s.counts.Heartbeats++
	case wire.Goodbye:
		s.counts.Goodbyes++
	case wire.ChangeSet:
		if frame.Last {
			s.apply(frame, arrived, at)
		}
	}
	return !s.group.stalls.Load() || s.currentAt == 0
}

func (s *stream) apply(frame wire.Frame, written, at int64) {
	s.counts.Changes++
	if frame.Full {
		s.counts.Full++
	}
	if frame.Revision < s.applied {
		s.counts.Backwards++
	}
	s.applied = frame.Revision
	if s.currentAt == 0 {
		s.currentAt = at
		s.group.current.Add(1)
		s.group.settled.Add(1)
	}
	if len(s.receipts) == maxReceipts {
		s.counts.Overflow++
		return
	}
	s.receipts = append(s.receipts, receipt{frame.Revision, written, at})
}

// Ended takes the end of the call; before it is current, a stream tries again.
func (s *stream) Ended(status string) {
	if s.group.closing.Load() {
		return
	}
	s.mu.Lock()
	again := s.currentAt == 0 && s.tries < s.group.options.Tries
	s.ended = !again
	if s.ended && s.currentAt == 0 {
		s.group.settled.Add(1)
	}
	s.mu.Unlock()
	s.group.note(status, again)
	if again {
		s.group.later(s)
	}
}

// reached is when the stream first had at least this revision, and whether it has.
func (s *stream) reached(revision int64) (receipt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := sort.Search(len(s.receipts), func(i int) bool { return s.receipts[i].revision >= revision })
	if at == len(s.receipts) {
		return receipt{}, false
	}
	return s.receipts[at], true
}

func (s *stream) holds(revision int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied >= revision
}

func (s *stream) mark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = Counts{}
	s.receipts = s.receipts[:0]
}
