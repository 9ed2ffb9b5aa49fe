// Package docs holds the pages of the documentation that the binary needs itself. It
// must not know who asks for them.
package docs

import _ "embed" // the file below

// ControlSchema is the JSON Schema of the answers on the control socket.
//
//go:embed control-api.schema.json
var ControlSchema []byte
