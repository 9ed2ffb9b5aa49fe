package wire

// AccessFile is where lines of access logs go: FD, a pipe in the router process, which
// the supervisor reads.
type AccessFile struct {
	Path string `json:"path"`
	FD   int    `json:"fd"`
}

// AccessLog says what is written of each request, and where.
type AccessLog struct {
	// File is the index of one of RouterConfig.AccessFiles.
	File int `json:"file"`
	// Format as internal/accesslog has it.
	Format string `json:"format"`
	// SuppressPaths are URL paths whose requests are not written while they do well.
	SuppressPaths []string `json:"suppress_paths,omitempty"`
}

// LostLines counts lines of an AccessFile that were dropped since it was told last.
type LostLines struct {
	Path  string `json:"path"`
	Lines uint64 `json:"lines"`
}

// MaxAccessLine bounds one line. Values are cut long before.
const MaxAccessLine = 1 << 20
