package protocol

// UseBuffer makes s read into buf from now on, and returns the buffer it had.
// Bytes received but not consumed move along. It lets a connection that waits
// for its next request hold a small buffer, and read a large body into one that
// is borrowed. The parameters of the active request may point into the buffer
// that is returned: it must not be written to before the request has ended.
// It reports false, and changes nothing, if buf is too small.
func (s *ServerConn) UseBuffer(buf []byte) (old []byte, ok bool) {
	return s.rd.UseBuffer(buf)
}
