//go:build cgo

package pyshim

import (
	"embed"
	"fmt"
	"strconv"
	"strings"
)

//go:embed wsgid/*.py
var modules embed.FS

// Modules is the Python side as an archive (docs/internals.md section 6), for
// the supervisor to hand over to every child.
func Modules() []byte {
	entries, err := modules.ReadDir("wsgid")
	if err != nil {
		panic(fmt.Sprintf("embedded Python modules: %v", err)) // the binary is broken
	}
	var archive []byte
	for _, entry := range entries {
		source, err := modules.ReadFile("wsgid/" + entry.Name())
		if err != nil {
			panic(fmt.Sprintf("embedded Python modules: %v", err))
		}
		name := "wsgid"
		if entry.Name() != "__init__.py" {
			name += "." + strings.TrimSuffix(entry.Name(), ".py")
		}
		archive = append(archive, name...)
		archive = append(archive, 0)
		archive = strconv.AppendInt(archive, int64(len(source)), 10)
		archive = append(archive, 0)
		archive = append(archive, source...)
	}
	return archive
}
