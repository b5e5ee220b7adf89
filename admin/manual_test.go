package admin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/access"
	"github.com/inproc/faas/admin"
)

// The commands in docs/admin.md are run, one block after the other, against a host of this
// test.
func TestTheManualsCommandsDoWhatTheManualSays(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/admin.md")
	require.NoError(t, err)
	w := newWorld(t)
	w.ring.KeepErrors()
	w.fails("acme")
	faas.Register(w.router, "mail", func(context.Context, string) (string, error) { return "", faas.Permanent(errBadURL) })
	job, err := w.router.Send(t.Context(), "mail", []byte(`"x"`))
	require.NoError(t, err)
	_, err = job.Wait(t.Context())
	require.Error(t, err)
	tokens, err := access.NewTokens()
	require.NoError(t, err)
	token, _, err := tokens.Issue(root, time.Hour)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/v1/", access.Bearer(tokens)(w.api))
	server := httptest.NewServer(mux)
	defer server.Close()

	blocks := regexp.MustCompile("(?s)<!-- norun: TestTheManuals.*?```sh\n(.*?)```").FindAllSubmatch(manual, -1)
	require.Len(t, blocks, 6)
	for _, b := range blocks {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", string(b[1]))
		cmd.Env = append(os.Environ(), "FAAS="+server.URL, "TOKEN="+token.Reveal())
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", b[1], out)
	}
	aliases, err := w.router.Aliases("resize")
	require.NoError(t, err)
	assert.Equal(t, faas.Weights{1: 1}, aliases[1].Weights)
	assert.Equal(t, admin.Count(3), aliasRevision(aliases))
	assert.Len(t, get[admin.Failures](w, root, "/v1/failures?function=resize").Failures, 1, "the replay has succeeded")
	assert.Len(t, get[admin.Jobs](w, root, "/v1/jobs?function=mail").Jobs, 2)
}

func aliasRevision(all []faas.Alias) admin.Count { return admin.Count(all[1].Revision) }
