package tracecontext_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/inproc/faas/internal/tracecontext"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func TestATraceContextComesOutAsItWentIn(t *testing.T) {
	t.Parallel()
	ctx := tracecontext.With(t.Context(), "parent", "state")
	parent, state := tracecontext.From(tracecontext.With(ctx, "", "of no parent"))
	assert.Equal(t, []string{"parent", "state"}, []string{parent, state})
	parent, state = tracecontext.From(t.Context())
	assert.Empty(t, parent+state)
}
