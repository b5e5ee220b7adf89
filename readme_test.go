package faas_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every test, benchmark and example that the documents name must exist. A document may name only
// the beginning of its name.
func TestTheDocumentsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	documents = append(documents, "README.md", "examples/README.md")
	var code strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	}))
	name := regexp.MustCompile("`((?:Test|Benchmark|Fuzz|Example)[A-Za-z0-9_]+)`")
	total := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		require.NoError(t, err)
		for _, m := range name.FindAllStringSubmatch(string(text), -1) {
			total++
			assert.True(t, strings.Contains(code.String(), "\nfunc "+m[1]), "%s names %s", document, m[1]) //nolint:testifylint // all code would be printed
		}
	}
	assert.Greater(t, total, 20)
}

// Every module of the workspace must be in the list of modules that can be used.
func TestTheListOfModulesIsComplete(t *testing.T) {
	t.Parallel()
	work, err := os.ReadFile("go.work")
	require.NoError(t, err)
	list, err := os.ReadFile("docs/modules.md")
	require.NoError(t, err)
	modules := regexp.MustCompile(`(?m)^\t\./(\S+)$`).FindAllStringSubmatch(string(work), -1)
	assert.Greater(t, len(modules), 5)
	for _, m := range modules {
		assert.Contains(t, string(list), "`…/faas/"+m[1]+"`")
	}
}
