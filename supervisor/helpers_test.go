package supervisor

import (
	"context"
	"io"

	"github.com/hashicorp/go-hclog"
)

func testLogger(to io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: to, JSONFormat: true})
}

func testContext() (context.Context, context.CancelFunc) {
	return context.WithCancel(context.Background())
}
