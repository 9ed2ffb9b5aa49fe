package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write the results into testdata")

var (
	root     = Identity{UID: 0, GID: 0, User: "root", Group: "root"}
	ordinary = Identity{UID: 1000, GID: 1000, User: "joe", Group: "users", RuntimeDir: "/run/user/1000"}
)

// TestGolden reads every case of testdata: an archive of files of which
// wsgid.hcl is the main one, and "want": the configuration, as far as it is not
// empty, or the diagnostics. The comment "user joe" reads it as an ordinary user.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < 60 {
		t.Fatalf("only %d cases found", len(cases))
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := readCase(t, archive)
			if *update {
				setFile(archive, "want", got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(getFile(archive, "want"), got); diff != "" {
				t.Errorf("result differs (-want +got):\n%s", diff)
			}
		})
	}
}

// readCase gives what reading the archive's files results in.
func readCase(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range archive.Files {
		if file.Name == "want" {
			continue
		}
		path := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	identity := root
	if strings.Contains(string(archive.Comment), "user joe") {
		identity = ordinary
	}
	result := Read(filepath.Join(dir, "wsgid.hcl"), identity)
	var out strings.Builder
	if err := WriteDiagnostics(&out, result, 0); err != nil {
		t.Fatal(err)
	}
	if result.Config != nil {
		dumped, err := json.MarshalIndent(dump(reflect.ValueOf(*result.Config)), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		out.Write(dumped)
		out.WriteByte('\n')
	}
	return strings.ReplaceAll(out.String(), dir+"/", "")
}

func getFile(archive *txtar.Archive, name string) string {
	for _, file := range archive.Files {
		if file.Name == name {
			return string(file.Data)
		}
	}
	return ""
}

func setFile(archive *txtar.Archive, name, content string) {
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			archive.Files[i].Data = []byte(content)
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(content)})
}

// dump turns a value into what a person wants to read as JSON: no zero values,
// no ranges, times and modes as text.
func dump(v reflect.Value) any {
	switch value := v.Interface().(type) {
	case time.Duration:
		return value.String()
	case os.FileMode:
		return fmt.Sprintf("%04o", value)
	case netip.Prefix:
		return value.String()
	}
	switch v.Kind() {
	case reflect.Struct:
		fields := map[string]any{}
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if v.Type().Field(i).Anonymous {
				if inner, ok := dump(v.Field(i)).(map[string]any); ok {
					maps.Copy(fields, inner)
				}
				continue
			}
			empty := v.Field(i).IsZero() && name != "SupplementaryGroups"
			if name == "Range" || name == "Order" || name == "Source" || name == "Umask" || empty || v.Field(i).Kind() == reflect.Slice && v.Field(i).IsNil() {
				continue
			}
			fields[name] = dump(v.Field(i))
		}
		if umask := v.FieldByName("Umask"); umask.IsValid() {
			fields["Umask"] = fmt.Sprintf("%04o", umask.Int())
		}
		return fields
	case reflect.Pointer:
		return dump(v.Elem())
	case reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			list = append(list, dump(v.Index(i)))
		}
		return list
	}
	return v.Interface()
}
