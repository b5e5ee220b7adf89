package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // image.Decode reads what is imported
	"image/jpeg"
	_ "image/png"
	"os"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/image/draw"
)

// functions are the two functions of this program. A hosted function's Invoke has the type of the handler behind it, so
// the same struct holds either: this program compares them.
type functions struct {
	thumbnail func(context.Context, picture) (thumbnail, error)
	words     func(context.Context, document) (summary, error)
}

// call reads one file and hands it to the function for its kind.
func (fns functions) call(ctx context.Context, f file, res *results) {
	data, err := os.ReadFile(f.path)
	if err != nil {
		res.fail(f, err)
		return
	}
	if f.image {
		t, err := fns.thumbnail(ctx, picture{Data: data, Side: 64})
		res.thumbnail(f, t, err)
		return
	}
	s, err := fns.words(ctx, document{Text: string(data)})
	res.summary(f, s, err)
}

type picture struct {
	Data []byte // a JPEG, PNG or GIF
	Side int    // the thumbnail's longer side, in pixels
}

type thumbnail struct {
	JPEG          []byte
	Width, Height int
}

const maxPixels = 100e6

// makeThumbnail decodes a picture and draws it small. Between its steps it looks whether anyone still waits for it.
func makeThumbnail(ctx context.Context, in picture) (thumbnail, error) {
	// A file of a few bytes can claim to be a picture of many gigabytes: ask before the pixels are made room for.
	head, _, err := image.DecodeConfig(bytes.NewReader(in.Data))
	if err != nil {
		return thumbnail{}, err
	}
	if float64(head.Width)*float64(head.Height) > maxPixels {
		return thumbnail{}, fmt.Errorf("%d×%d pixels are too many", head.Width, head.Height)
	}
	large, _, err := image.Decode(bytes.NewReader(in.Data))
	if err != nil {
		return thumbnail{}, err
	}
	if err := ctx.Err(); err != nil {
		return thumbnail{}, err
	}
	small, err := scale(large, in.Side)
	if err != nil {
		return thumbnail{}, err
	}
	return encode(small)
}

// scale fits a picture into a square, on white where it is transparent, and leaves a smaller one its size.
func scale(large image.Image, side int) (*image.RGBA, error) {
	w, h := large.Bounds().Dx(), large.Bounds().Dy()
	if w < 1 || h < 1 || side < 1 {
		return nil, errors.New("the picture or its thumbnail is empty")
	}
	if longer := max(w, h); longer > side {
		w, h = max(1, w*side/longer), max(1, h*side/longer)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(small, small.Rect, image.White, image.Point{}, draw.Src)
	draw.BiLinear.Scale(small, small.Rect, large, large.Bounds(), draw.Over, nil)
	return small, nil
}

func encode(img *image.RGBA) (thumbnail, error) {
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 80})
	return thumbnail{JPEG: buf.Bytes(), Width: img.Rect.Dx(), Height: img.Rect.Dy()}, err
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
		s.Lines++ // the last line need not end
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
		return strings.Compare(a.Word, b.Word) // equals in a fixed order, so that every run says the same
	})
	return all[:min(topWords, len(all))]
}
