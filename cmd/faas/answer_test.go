package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/admin"
)

// TestTheFixedAnswersAreThoseOfTheAPI fails if a file of testdata has a field that the API no
// longer has. The answers were recorded from examples/shop.
func TestTheFixedAnswersAreThoseOfTheAPI(t *testing.T) {
	t.Parallel()
	kinds := map[string]any{
		"aliases": &admin.Aliases{}, "audit": &admin.Audit{}, "decisions": &admin.Decisions{}, "failure": &admin.Failure{},
		"failure_input": &admin.Data{}, "failure_stack": &admin.Stack{}, "failures": &admin.Failures{}, "functions": &admin.Functions{},
		"host": &admin.Host{}, "job": &admin.Job{}, "job_input": &admin.Data{}, "jobs": &admin.Jobs{}, "log": &admin.Log{},
		"resize": &admin.Function{}, "sources": &admin.Sources{}, "tenants": &admin.Tenants{}, "usage": &admin.Usage{},
	}
	files, err := os.ReadDir("testdata")
	require.NoError(t, err)
	found := 0
	for _, file := range files {
		name, ok := strings.CutSuffix(file.Name(), ".json")
		if !ok {
			continue
		}
		data, err := os.ReadFile("testdata/" + file.Name())
		require.NoError(t, err)
		require.NotNil(t, kinds[name], name)
		in := json.NewDecoder(strings.NewReader(string(data)))
		in.DisallowUnknownFields()
		assert.NoError(t, in.Decode(kinds[name]), name)
		found++
	}
	assert.Len(t, kinds, found)
}
