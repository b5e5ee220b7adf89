package main

import (
	"context"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/inproc/faas/examples/thumbs"
)

// functions are the two functions of this program. A hosted function's Invoke has the type of its handler, so this
// struct can have either of them: the program compares both.
type functions struct {
	thumbnail func(context.Context, thumbs.Picture) (thumbs.Thumbnail, error)
	words     func(context.Context, document) (summary, error)
}

// call reads one file and calls the function for its kind.
func (fns functions) call(ctx context.Context, f file, res *results) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		res.fail(f, err)
		return
	}
	if f.image {
		t, err := fns.thumbnail(ctx, thumbs.Picture{Data: data, Side: 64})
		res.thumbnail(f, t, err)
		return
	}
	s, err := fns.words(ctx, document{Text: string(data)})
	res.summary(f, s, err)
}

type document struct{ Text string }

type summary struct {
	Lines, Words int
	Top          []count // the most frequent words, first
}

type count struct {
	Word string
	N    int
}

const topWords = 3

// countWords counts lines, words and the most frequent words; a word is a run of letters.
func countWords(ctx context.Context, in document) (summary, error) {
	s := summary{Lines: strings.Count(in.Text, "\n")}
	if in.Text != "" && !strings.HasSuffix(in.Text, "\n") {
		s.Lines++ // the last line may have no line end
	}
	seen := make(map[string]int)
	for word := range strings.FieldsFuncSeq(in.Text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if s.Words++; s.Words%4096 == 0 && ctx.Err() != nil {
			return summary{}, ctx.Err()
		}
		seen[strings.ToLower(word)]++
	}
	s.Top = mostFrequent(seen)
	return s, nil
}

func mostFrequent(seen map[string]int) []count {
	all := make([]count, 0, len(seen))
	for word, n := range seen {
		all = append(all, count{word, n})
	}
	slices.SortFunc(all, func(a, b count) int {
		if a.N != b.N {
			return b.N - a.N
		}
		return strings.Compare(a.Word, b.Word) // a fixed order for equal counts, so that every run prints the same
	})
	return all[:min(topWords, len(all))]
}
