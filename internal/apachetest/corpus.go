package apachetest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Prefix of everything that configurations name; a Place stands for it.
const Prefix = "/srv/corpus"

// Configuration is one of a corpus, with what its first comment says of it.
type Configuration struct {
	Name   string // of its file, without the directory
	Path   string
	Source []byte
	// Refused is a part of the reason for which it cannot be converted; empty: it
	// can be. ByConvert: mod_wsgi's model has nothing against it, but the converter.
	Refused   string
	ByConvert bool
	// Apache is what Apache does with it.
	Apache Verdict
	// Warns are parts of what there is to say about it.
	Warns []string
}

// Verdict of Apache on a configuration.
type Verdict string

// The verdicts.
const (
	Accepts  Verdict = "accepts"
	Refuses  Verdict = "refuses"
	NotAsked Verdict = "not asked" // .htaccess, which Apache reads with requests
)

// Access says whether it is what stands in a file .htaccess.
func (c *Configuration) Access() bool { return strings.HasSuffix(c.Name, ".htaccess") }

// Folder holds the files that it includes; there need not be one.
func (c *Configuration) Folder() string { return strings.TrimSuffix(c.Path, filepath.Ext(c.Path)) }

// Corpus reads all configurations of a directory, in the order of their names.
func Corpus(dir string) ([]*Configuration, error) {
	var all []*Configuration
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the corpus: %w", err)
	}
	for _, entry := range entries {
		ext := filepath.Ext(entry.Name())
		if entry.IsDir() || ext != ".conf" && ext != ".htaccess" {
			continue
		}
		c, err := ReadConfiguration(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// ReadConfiguration reads a file and the comment that it begins with.
func ReadConfiguration(path string) (*Configuration, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the corpus: %w", err)
	}
	c := &Configuration{Name: filepath.Base(path), Path: path, Source: source}
	about, expected := false, false
	for i, line := range bytes.Split(source, []byte("\n")) {
		text, comment := strings.CutPrefix(strings.TrimSpace(string(line)), "#")
		if !comment {
			break
		}
		key, value, _ := strings.Cut(strings.TrimSpace(text), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "expect":
			verdict, reason, _ := strings.Cut(value, ":")
			c.Refused = strings.TrimSpace(reason)
			expected, c.ByConvert = true, verdict == "refused by convert"
			if (verdict != "converts" || c.Refused != "") && (verdict != "refused" && !c.ByConvert || c.Refused == "") {
				return nil, fmt.Errorf("%s:%d: write expect: converts, refused: REASON or refused by convert: REASON", path, i+1)
			}
		case "apache":
			c.Apache = Verdict(value)
			if c.Apache != Accepts && c.Apache != Refuses && c.Apache != NotAsked {
				return nil, fmt.Errorf("%s:%d: apache accepts or refuses it or is not asked", path, i+1)
			}
		case "warns":
			if value == "" {
				return nil, fmt.Errorf("%s:%d: write of what", path, i+1)
			}
			c.Warns = append(c.Warns, value)
		default:
			about = true
		}
	}
	switch {
	case !about || !expected || c.Apache == "":
		return nil, fmt.Errorf("%s:1: begin with what it is about, what is expected of it, and what Apache does", path)
	case c.Access() != (c.Apache == NotAsked):
		return nil, fmt.Errorf("%s:1: Apache is asked of all but .htaccess", path)
	}
	return c, nil
}
