package protocol

// UseBuffer makes s read into buf from now on, and returns the buffer it had.
// Bytes received but not consumed move along. It lets a connection that waits
// for its next request hold a small buffer, and read a large body into one that
// is borrowed. The parameters of the active request may point into the buffer
// that is returned: it must not be written to before the request has ended.
// It reports false, and changes nothing, if buf is too small.
func (s *ServerConn) UseBuffer(buf []byte) (old []byte, ok bool) {
	r := &s.rd
	if len(buf) < max(1<<10, r.w-r.r) {
		return nil, false
	}
	n := copy(buf, r.buf[r.r:r.w])
	old, r.buf = r.buf, buf
	r.r, r.w, r.floor, r.size = 0, n, 0, len(buf)
	return old, true
}
