package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func TestEachViewerOfTheStageSeesItsOwnPart(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	words := strings.Fields(line)
	base := words[4]
	for _, viewer := range words[5:] {
		name, token, _ := strings.Cut(viewer, "=")
		want := map[string]int{"root": 4, "acme": 4, "letters": 1, "none": 0, "demoted": 1}[name]
		assert.Len(t, functions(t, base, token), want, name)
	}
	stop()
	require.NoError(t, <-done)
	http.DefaultClient.CloseIdleConnections()
}

func functions(t *testing.T, base, token string) []admin.Function {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"v1/functions", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	var all admin.Functions
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&all))
	return all.Functions
}
