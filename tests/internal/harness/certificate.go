package harness

import "github.com/wsgid/wsgid/internal/apachetest"

// Certificate writes a self-signed certificate for name and its key, and
// returns their paths.
func (w *World) Certificate(name string) (certificate, key string) {
	w.T.Helper()
	public, private := apachetest.SelfSigned(w.T, name)
	return w.Write("tls/certificate.pem", string(public)), w.Write("tls/key.pem", string(private))
}
