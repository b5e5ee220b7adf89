package admin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/admin"
)

// golden compares got with a file of testdata. With FAAS_UPDATE=1 it writes the file instead.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("FAAS_UPDATE") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "the API has changed; FAAS_UPDATE=1 go test writes %s", file)
}

func TestTheDescriptionOfTheAPIIsFrozen(t *testing.T) {
	t.Parallel()
	doc, err := json.MarshalIndent(admin.OpenAPI(), "", " ")
	require.NoError(t, err)
	golden(t, "openapi.json", append(doc, '\n'))
}

func TestEachReferenceOfTheDescriptionHasATarget(t *testing.T) {
	t.Parallel()
	doc, err := json.Marshal(admin.OpenAPI())
	require.NoError(t, err)
	var parsed struct {
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	require.NoError(t, json.Unmarshal(doc, &parsed))
	for _, m := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllSubmatch(doc, -1) {
		assert.Contains(t, parsed.Components.Schemas, string(m[1]))
	}
}

var ids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// The JSON of answers must not change, since clients of other versions read it. IDs differ in
// each run, so they are replaced by numbers, in the order in which they occur.
func TestAnswersAreFrozen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		defer close(s.release)
		var all bytes.Buffer
		known := map[string]string{}
		for _, path := range []string{
			"/v1/functions", "/v1/functions/resize", "/v1/functions/resize/versions", "/v1/functions/resize/aliases", "/v1/decisions",
			"/v1/series?step=10s&by=total&histograms=true", "/v1/failures", "/v1/failures/" + s.failure, "/v1/failures/" + s.failure + "/input", "/v1/runaways",
			"/v1/usage?by=function,tenant", "/v1/tenants", "/v1/budgets", "/v1/jobs", "/v1/jobs/" + s.dead, "/v1/jobs/" + s.dead + "/input",
			"/v1/dead-letters", "/v1/sources", "/v1/audit", "/v1/nothing",
		} {
			a := s.do(root, http.MethodGet, path, "")
			text := ids.ReplaceAllStringFunc(a.Body.String(), func(id string) string {
				if known[id] == "" {
					known[id] = fmt.Sprintf("id-%d", len(known)+1)
				}
				return known[id]
			})
			var indented bytes.Buffer
			require.NoError(t, json.Indent(&indented, []byte(strings.TrimSpace(text)), "", " "))
			fmt.Fprintf(&all, "GET %s: %d\n%s\n\n", ids.ReplaceAllString(path, "{id}"), a.Code, indented.String())
		}
		golden(t, "answers.txt", all.Bytes())
	})
}
