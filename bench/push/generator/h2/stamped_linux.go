package h2

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
	"unsafe"
)

const (
	stampBytes  = 16 // a timespec: seconds and nanoseconds of CLOCK_REALTIME
	headerBytes = 16 // of a control message: its length, level and type
	spareBytes  = 64 // room for control messages
)

// stamped is a connection that knows when the kernel had what was read last. The reader may
// have got a core only later.
type stamped struct {
	net.Conn
	raw     syscall.RawConn
	try     func(fd uintptr) bool
	read    int
	err     error
	at      int64
	message syscall.Msghdr // kept, as try is: a read allocates nothing
	vector  syscall.Iovec
	control [spareBytes]byte
}

func stamp(conn net.Conn) (*stamped, error) {
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, err
	}
	asked := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	})
	s := &stamped{Conn: conn, raw: raw}
	s.try = s.receive
	s.message.Iov, s.message.Iovlen = &s.vector, 1
	s.message.Control = &s.control[0]
	return s, errors.Join(asked, err)
}

// Read reads as the connection does.
func (s *stamped) Read(buffer []byte) (int, error) {
	if len(buffer) == 0 {
		return 0, nil
	}
	s.vector.Base = &buffer[0]
	s.vector.SetLen(len(buffer))
	if err := s.raw.Read(s.try); err != nil {
		return 0, err
	}
	if s.err == nil && s.read == 0 {
		return 0, io.EOF
	}
	return s.read, s.err
}

// arrived is when, in nanoseconds of CLOCK_REALTIME, the last bytes that were read had come.
func (s *stamped) arrived() int64 { return s.at }

func (s *stamped) receive(fd uintptr) bool {
	for {
		s.message.SetControllen(spareBytes)
		read, _, errno := syscall.Syscall(
			syscall.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&s.message)), 0)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return false
		case 0:
			s.read, s.err = int(read), nil
			s.at = stampIn(s.control[:s.message.Controllen])
		default:
			s.read, s.err = 0, errno
		}
		return true
	}
}

// stampIn finds the kernel's time among control messages; without one it is now.
func stampIn(control []byte) int64 {
	if len(control) >= headerBytes+stampBytes &&
		binary.NativeEndian.Uint32(control[8:]) == syscall.SOL_SOCKET &&
		binary.NativeEndian.Uint32(control[12:]) == syscall.SCM_TIMESTAMPNS {
		seconds := binary.NativeEndian.Uint64(control[headerBytes:])
		return int64(seconds)*int64(time.Second) + int64(binary.NativeEndian.Uint64(control[headerBytes+8:]))
	}
	return time.Now().UnixNano()
}
