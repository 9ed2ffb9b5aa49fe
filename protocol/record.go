package protocol

import "encoding/binary"

// Sizes of FastCGI 1.0 section 3.3.
const (
	// Version is the only protocol version there is.
	Version = 1
	// HeaderLen is the length of a record header in bytes.
	HeaderLen = 8
	// MaxContent is the largest content of one record in bytes.
	MaxContent = 65535
	// MaxRecord is the largest whole record: header, content and padding.
	MaxRecord = HeaderLen + MaxContent + 255
	// discreteLen is the content length of BEGIN_REQUEST, END_REQUEST and
	// UNKNOWN_TYPE.
	discreteLen = 8
)

// RecordType is the second byte of a record (FastCGI 1.0 section 8).
type RecordType uint8

// Record types.
const (
	BeginRequest    RecordType = 1
	AbortRequest    RecordType = 2
	EndRequest      RecordType = 3
	Params          RecordType = 4
	Stdin           RecordType = 5
	Stdout          RecordType = 6
	Stderr          RecordType = 7
	Data            RecordType = 8
	GetValues       RecordType = 9
	GetValuesResult RecordType = 10
	UnknownType     RecordType = 11
)

var typeNames = [...]string{"", "BEGIN_REQUEST", "ABORT_REQUEST", "END_REQUEST", "PARAMS", "STDIN",
	"STDOUT", "STDERR", "DATA", "GET_VALUES", "GET_VALUES_RESULT", "UNKNOWN_TYPE"}

// String returns the name of the type as the specification writes it.
func (t RecordType) String() string {
	if t == 0 || int(t) >= len(typeNames) {
		return "UNASSIGNED"
	}
	return typeNames[t]
}

// Role is what BEGIN_REQUEST asks the application to be (section 6).
type Role uint16

// Roles.
const (
	Responder  Role = 1
	Authorizer Role = 2
	Filter     Role = 3
)

// FlagKeepConn in BEGIN_REQUEST: the web server closes the connection, not we.
// All other flag bits are ignored.
const FlagKeepConn byte = 1

// Status is the protocolStatus of END_REQUEST (section 5.5).
type Status uint8

// Protocol statuses.
const (
	RequestComplete Status = 0
	CantMpxConn     Status = 1
	Overloaded      Status = 2
	UnknownRole     Status = 3
)

// Header is a parsed record header. Lengths are in bytes.
type Header struct {
	Type          RecordType
	ID            uint16
	ContentLength int
	PaddingLength int
}

// ParseHeader reads the header at the start of b. The reserved byte is ignored.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderLen {
		if len(b) > 0 && b[0] != Version {
			return Header{}, ErrVersion
		}
		return Header{}, ErrShortHeader
	}
	if b[0] != Version {
		return Header{}, ErrVersion
	}
	return Header{
		Type:          RecordType(b[1]),
		ID:            binary.BigEndian.Uint16(b[2:]),
		ContentLength: int(binary.BigEndian.Uint16(b[4:])),
		PaddingLength: int(b[6]),
	}, nil
}

// PutHeader writes a header to the first HeaderLen bytes of b. The caller
// guarantees 0 <= contentLen <= MaxContent and 0 <= padding <= 255: a length
// that wrapped would turn data into records, so anything else panics.
func PutHeader(b []byte, t RecordType, id uint16, contentLen, padding int) {
	if contentLen < 0 || contentLen > MaxContent || padding < 0 || padding > 255 {
		panic("protocol: record length out of range")
	}
	_ = b[HeaderLen-1]
	b[0] = Version
	b[1] = byte(t)
	binary.BigEndian.PutUint16(b[2:], id)
	binary.BigEndian.PutUint16(b[4:], uint16(contentLen))
	b[6] = byte(padding)
	b[7] = 0
}

// AppendHeader appends a header to b; the lengths are as for PutHeader.
func AppendHeader(b []byte, t RecordType, id uint16, contentLen, padding int) []byte {
	var h [HeaderLen]byte
	PutHeader(h[:], t, id, contentLen, padding)
	return append(b, h[:]...)
}

// AppendBeginRequest appends a whole BEGIN_REQUEST record.
func AppendBeginRequest(b []byte, id uint16, role Role, flags byte) []byte {
	b = AppendHeader(b, BeginRequest, id, discreteLen, 0)
	return append(b, byte(role>>8), byte(role), flags, 0, 0, 0, 0, 0)
}

// AppendAbortRequest appends a whole ABORT_REQUEST record.
func AppendAbortRequest(b []byte, id uint16) []byte {
	return AppendHeader(b, AbortRequest, id, 0, 0)
}

// AppendEndRequest appends a whole END_REQUEST record.
func AppendEndRequest(b []byte, id uint16, appStatus uint32, status Status) []byte {
	b = AppendHeader(b, EndRequest, id, discreteLen, 0)
	b = binary.BigEndian.AppendUint32(b, appStatus)
	return append(b, byte(status), 0, 0, 0)
}

// AppendStream appends data as records of the stream t, cut so that none is
// over MaxContent. Empty data appends nothing: an empty record would close the
// stream, which is what AppendStreamEnd is for.
func AppendStream(b []byte, t RecordType, id uint16, data []byte) []byte {
	for len(data) > 0 {
		n := min(len(data), MaxContent)
		b = AppendHeader(b, t, id, n, 0)
		b = append(b, data[:n]...)
		data = data[n:]
	}
	return b
}

// AppendStreamEnd appends the empty record that closes the stream t.
func AppendStreamEnd(b []byte, t RecordType, id uint16) []byte {
	return AppendHeader(b, t, id, 0, 0)
}

// AppendUnknownType appends the answer to a management record of unknown type.
func AppendUnknownType(b []byte, t RecordType) []byte {
	b = AppendHeader(b, UnknownType, 0, discreteLen, 0)
	return append(b, byte(t), 0, 0, 0, 0, 0, 0, 0)
}

// BeginContent parses the content of BEGIN_REQUEST; its length must be 8.
func BeginContent(c []byte) (role Role, flags byte, err error) {
	if len(c) != discreteLen {
		return 0, 0, ErrBadBegin
	}
	return Role(binary.BigEndian.Uint16(c)), c[2], nil
}

// EndContent parses the content of END_REQUEST; its length must be 8.
func EndContent(c []byte) (appStatus uint32, status Status, err error) {
	if len(c) != discreteLen {
		return 0, 0, ErrBadEnd
	}
	return binary.BigEndian.Uint32(c), Status(c[4]), nil
}
