// Package wire reads and writes the few fields of FeatMesh's protobuf messages that a load
// generator needs. The field numbers are those of protos/featmesh/sync/v1/sync.proto and
// protos/featmesh/evaluation/v1/evaluation.proto.
package wire

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kind says what a frame of a sync stream is.
type Kind int

// The kinds of frames; the numbers are those of the responses' oneof.
const (
	ChangeSet Kind = 1
	Heartbeat Kind = 2
	Goodbye   Kind = 3
)

// HeadBytes is how much of a frame ReadFrame needs: a change set's fields but its items are
// shorter, and every protobuf encoder writes them first.
const HeadBytes = 128

const changeSetItems = 5

// Frame is what the generator needs of one frame.
type Frame struct {
	Kind     Kind
	Full     bool  // a change set that replaces everything
	Revision int64 // of a change set or heartbeat
	Part     int64 // of a change set
	Last     bool  // a change set's last part
	Reason   int64 // of a goodbye
}

// ErrFrame means that the bytes are no frame.
var ErrFrame = errors.New("no frame of a sync stream")

// ReadFrame reads a frame from its first HeadBytes (or fewer, if it is shorter).
func ReadFrame(head []byte) (Frame, error) {
	number, kind, size := protowire.ConsumeTag(head)
	if size < 0 || kind != protowire.BytesType || number < 1 || number > 3 {
		return Frame{}, ErrFrame
	}
	head = head[size:]
	length, size := protowire.ConsumeVarint(head)
	if size < 0 {
		return Frame{}, ErrFrame
	}
	body := head[size:]
	if uint64(len(body)) > length {
		body = body[:length]
	}
	frame := Frame{Kind: Kind(number)}
	return frame, frame.readFields(body)
}

// readFields stops at the first item, which may not be whole, and passes over other fields.
func (f *Frame) readFields(body []byte) error {
	for len(body) > 0 {
		number, kind, size := protowire.ConsumeTag(body)
		if size < 0 {
			return ErrFrame
		}
		if f.Kind == ChangeSet && number == changeSetItems {
			return nil
		}
		body = body[size:]
		if kind == protowire.VarintType {
			value, _ := protowire.ConsumeVarint(body)
			f.set(number, int64(value))
		}
		length := protowire.ConsumeFieldValue(number, kind, body)
		if length < 0 {
			return ErrFrame
		}
		body = body[length:]
	}
	return nil
}

func (f *Frame) set(number protowire.Number, value int64) {
	switch {
	case f.Kind == ChangeSet && number == 1:
		f.Full = value == 1
	case f.Kind == ChangeSet && number == 2, f.Kind == Heartbeat && number == 1:
		f.Revision = value
	case f.Kind == ChangeSet && number == 3:
		f.Part = value
	case f.Kind == ChangeSet && number == 4:
		f.Last = value != 0
	case f.Kind == Goodbye && number == 1:
		f.Reason = value
	}
}
