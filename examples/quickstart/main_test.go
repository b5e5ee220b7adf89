package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/inproc/faas"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}

// TestGoTestdata runs the program with the files of the Go installation, which is the default.
func TestGoTestdata(t *testing.T) {
	if _, _, err := goTestdata(); err != nil {
		t.Skip(err)
	}
	const rounds = 2
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-rounds", "2"}, &stdout, &stderr))
	out := stdout.String()
	t.Logf("\n%s", out)
	require.Empty(t, stderr.String(), "no bar where there is no terminal")

	base, dirs, err := goTestdata()
	require.NoError(t, err)
	set, err := collect(base, dirs)
	require.NoError(t, err)
	thumbnails, words := row(t, out, "thumbnail"), row(t, out, "words")
	require.Equal(t, rounds*set.images, thumbnails["CALLS"])
	require.Equal(t, rounds*set.texts, words["CALLS"])
	require.Equal(t, words["CALLS"], words["OK"])
	require.Equal(t, thumbnails["CALLS"], thumbnails["OK"]+thumbnails["FAILED"])
	require.Positive(t, thumbnails["FAILED"], "Go has broken images to test with")
	require.Contains(t, out, "image/png/testdata/invalid-trunc.png: unexpected EOF")
	require.Regexp(t, `\nHosting costs:  \d+\.\d\d µs a call .*\n$`, out, "what it ends on")
}

func TestDirectory(t *testing.T) {
	dir, thumbs := makeFiles(t), t.TempDir()
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-out", thumbs, dir}, &stdout, &stderr))
	out := stdout.String()
	t.Logf("\n%s", out)

	require.Contains(t, out, "3 images and 1 text (2 other files skipped), 1 round: 4 calls, ")
	require.Equal(t, 3, row(t, out, "thumbnail")["CALLS"])
	require.Equal(t, 2, row(t, out, "thumbnail")["OK"])
	require.Equal(t, 1, row(t, out, "thumbnail")["FAILED"])
	require.Equal(t, 1, row(t, out, "words")["OK"])
	require.Contains(t, out, `"to" 2×, "be" 1×, "not" 1×`)
	require.Contains(t, out, "(measured)", "one round is not extrapolated")

	f, err := os.Open(filepath.Join(thumbs, "sub", "wide.thumb.jpeg"))
	require.NoError(t, err)
	defer f.Close()
	img, err := jpeg.Decode(f)
	require.NoError(t, err)
	require.Equal(t, image.Rect(0, 0, 64, 16), img.Bounds())
}

// TestInterrupted ends the context in the middle of a run that would otherwise take minutes.
func TestInterrupted(t *testing.T) {
	dir := makeFiles(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(ctx, []string{"-rounds", "1000000", dir}, &stdout, &stderr))
	t.Logf("\n%s", stdout.String())
	require.Contains(t, stdout.String(), "Interrupted after ")
	require.NotContains(t, stdout.String(), "Speed-up")
	require.NotContains(t, stdout.String(), "Hosting costs")
	got := row(t, stdout.String(), "thumbnail")
	require.Positive(t, got["CALLS"])
	require.Equal(t, got["CALLS"], got["OK"]+got["FAILED"], "what had begun was finished, not canceled")
}

func TestMistakes(t *testing.T) {
	for name, args := range map[string][]string{
		"no such directory": {filepath.Join(t.TempDir(), "nothing")},
		"nothing in it":     {t.TempDir()},
		"two directories":   {".", "."},
		"no workers":        {"-workers", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, run(t.Context(), args, new(bytes.Buffer), new(bytes.Buffer)))
		})
	}
}

// TestRecorder compares the numbers of the table with those of another meter.
func TestRecorder(t *testing.T) {
	rec := newRecorder()
	var mu sync.Mutex
	var sum time.Duration
	calls := 0
	r := faas.New(faas.WithMeter(rec), faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		sum += time.Duration(math.Ceil(e.Duration.Seconds()*1000)) * time.Millisecond
	})))
	words := faas.Register(r, "words", countWords)
	for range 100 {
		_, err := words.Invoke(t.Context(), document{Text: "once upon a time"})
		require.NoError(t, err)
	}
	require.NoError(t, r.Shutdown(t.Context()))

	s := rec.stats["words"]
	require.Equal(t, 100, s.calls)
	require.Equal(t, calls, s.outcomes[faas.OK])
	require.Equal(t, sum, s.billed)
	require.EqualValues(t, 100, s.wait.TotalCount())
	require.EqualValues(t, 100, s.run.TotalCount())
}

func TestCountWords(t *testing.T) {
	for text, want := range map[string]summary{
		"":             {Top: []count{}},
		"one":          {Lines: 1, Words: 1, Top: []count{{"one", 1}}},
		"B a b\n\n42":  {Lines: 3, Words: 3, Top: []count{{"b", 2}, {"a", 1}}},
		"naïve\ncafé ": {Lines: 2, Words: 2, Top: []count{{"café", 1}, {"naïve", 1}}},
	} {
		got, err := countWords(t.Context(), document{Text: text})
		require.NoError(t, err)
		require.Equal(t, want, got, "%q", text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := countWords(ctx, document{Text: strings.Repeat("word ", 10_000)})
	require.ErrorIs(t, err, context.Canceled)
}

// makeFiles makes a directory with two pictures, half a picture, a text, and two files that are neither.
func makeFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	wide, small := makePNG(t, 400, 100), makePNG(t, 8, 8)
	for name, data := range map[string][]byte{
		"sub/wide":       wide, // no ending: contents decide
		"small.png":      small,
		"half.png":       wide[:len(wide)/2],
		"text.md":        []byte("To be or not to.\n"),
		"binary":         {0, 1, 2, 3, 0xff, 0xfe},
		"empty":          nil,
		".hidden/secret": []byte("not walked"),
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, data, 0o644))
	}
	return dir
}

func makePNG(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		for y := range h {
			img.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: uint8(x * y), A: 255})
		}
	}
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, img))
	return buf.Bytes()
}

// row reads the whole numbers of one line of the table, by the titles of their columns.
func row(t *testing.T, out, function string) map[string]int {
	t.Helper()
	var titles []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
		case fields[0] == "FUNCTION":
			titles = fields
		case fields[0] == function && titles != nil:
			numbers := make(map[string]int)
			for i, title := range titles[:len(titles)-7] { // before WAIT P50
				if i > 0 {
					n, err := strconv.Atoi(fields[i])
					require.NoError(t, err, line)
					numbers[title] = n
				}
			}
			return numbers
		}
	}
	t.Fatalf("no line %q in\n%s", function, out)
	return nil
}
