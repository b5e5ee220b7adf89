// Package thumbs makes thumbnails. Several of the examples host its function Make.
package thumbs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // image.Decode supports the formats that are imported
	"image/jpeg"
	_ "image/png" // see image/gif

	"golang.org/x/image/draw"
)

// Picture is the input of Make.
type Picture struct {
	Data []byte // a JPEG, PNG or GIF
	Side int    // the thumbnail's longer side, in pixels
}

// Thumbnail is the output of Make.
type Thumbnail struct {
	JPEG          []byte
	Width, Height int
}

const maxPixels = 100e6

// Make decodes a picture and scales it down. It stops between the two steps if ctx has ended.
func Make(ctx context.Context, in Picture) (Thumbnail, error) {
	// A file of a few bytes can claim to be a picture of many gigabytes: check its size before memory for the pixels is
	// allocated.
	head, _, err := image.DecodeConfig(bytes.NewReader(in.Data))
	if err != nil {
		return Thumbnail{}, err
	}
	if float64(head.Width)*float64(head.Height) > maxPixels {
		return Thumbnail{}, fmt.Errorf("%d×%d pixels are too many", head.Width, head.Height)
	}
	large, _, err := image.Decode(bytes.NewReader(in.Data))
	if err != nil {
		return Thumbnail{}, err
	}
	if err := ctx.Err(); err != nil {
		return Thumbnail{}, err
	}
	small, err := scale(large, in.Side)
	if err != nil {
		return Thumbnail{}, err
	}
	return encode(small)
}

// scale fits a picture into a square, with white where it is transparent. It does not enlarge a smaller picture.
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

func encode(img *image.RGBA) (Thumbnail, error) {
	var buf bytes.Buffer
	err := jpeg.Encode(&buf, img, &jpeg.Options{Quality: 80})
	return Thumbnail{JPEG: buf.Bytes(), Width: img.Rect.Dx(), Height: img.Rect.Dy()}, err
}
