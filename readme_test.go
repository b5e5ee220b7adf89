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

// Every test, benchmark and example that the README names is there, at least by
// the beginning of its name.
func TestTheReadmeNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var code strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	}))
	named := regexp.MustCompile("`((?:Test|Benchmark|Fuzz|Example)[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(readme), -1)
	assert.Greater(t, len(named), 20)
	for _, m := range named {
		assert.True(t, strings.Contains(code.String(), "\nfunc "+m[1]), "README.md names %s", m[1]) //nolint:testifylint // all code would be printed
	}
}

// Every module of the workspace is in the list of those that can be used.
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
