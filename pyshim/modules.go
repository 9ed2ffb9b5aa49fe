package pyshim

import (
	"embed"
	"path"
	"strconv"
	"strings"
)

//go:embed wsgid/*.py
var pythonSide embed.FS

// Modules is the Python side of pyshim as the archive of docs/internals.md
// section 6, which the supervisor hands to each child in a sealed memfd.
func Modules() []byte {
	entries, err := pythonSide.ReadDir("wsgid")
	if err != nil {
		panic("pyshim: the embedded modules are gone: " + err.Error())
	}
	var archive []byte
	for _, entry := range entries {
		source, err := pythonSide.ReadFile(path.Join("wsgid", entry.Name()))
		if err != nil {
			panic("pyshim: the embedded modules are gone: " + err.Error())
		}
		name := "wsgid"
		if base := strings.TrimSuffix(entry.Name(), ".py"); base != "__init__" {
			name += "." + base
		}
		archive = append(archive, name...)
		archive = append(archive, 0)
		archive = strconv.AppendInt(archive, int64(len(source)), 10)
		archive = append(archive, 0)
		archive = append(archive, source...)
	}
	return archive
}
