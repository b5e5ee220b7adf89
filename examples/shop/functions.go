package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faascron"
)

// article is the input of price and search.
type article struct {
	SKU      int    `json:"sku"`
	Currency string `json:"currency,omitempty"`
}

// order is the input of checkout and fraud. Number is greater than 2^53, beyond which JavaScript has no exact integers.
type order struct {
	Number int64  `json:"order"`
	Cents  int    `json:"cents"`
	Card   string `json:"card"`
	Mail   string `json:"mail"`
}

// picture is the input of resize. Token gives access to the shop's store of pictures. It is redacted where an input is
// stored.
type picture struct {
	Image  string `json:"image"`
	Order  int64  `json:"order"`
	Sizes  []int  `json:"sizes"`
	Format string `json:"format"`
	Token  string `json:"token"`
}

// report is the input of export.
type report struct {
	Day  string `json:"day"`
	Rows int    `json:"rows"`
}

// letter is the input of mail.
type letter struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// takes waits for a random time with that mean, or until ctx ends.
func takes(ctx context.Context, mean time.Duration) error {
	timer := time.NewTimer(mean/2 + time.Duration(rand.ExpFloat64()*float64(mean)/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// price sometimes fails, because some articles have no price.
func price(ctx context.Context, a article) (int, error) {
	if a.SKU%5000 == 0 {
		return 0, fmt.Errorf("no price for %d in %s", a.SKU, a.Currency)
	}
	return 100 * (a.SKU%90 + 10), takes(ctx, 300*time.Microsecond)
}

func search(ctx context.Context, a article) ([]int, error) {
	return []int{a.SKU, a.SKU + 1}, takes(ctx, 18*time.Millisecond)
}

// fraud decides whether an order may be charged.
func fraud(ctx context.Context, o order) (bool, error) {
	return o.Cents < 1_000_000, takes(ctx, 21*time.Millisecond)
}

// checkout calls fraud, charges the order, and sends a mail about it.
func (s *shop) checkout(ctx context.Context, o order) (string, error) {
	sound, err := s.fraud.Invoke(ctx, o)
	if err != nil {
		return "", err
	}
	if err := takes(ctx, 60*time.Millisecond); err != nil {
		return "", err
	}
	if !sound || o.Number%300 == 0 {
		return "", errors.New("card declined by issuer")
	}
	// One mail for each order, even if its checkout runs several times.
	_, err = s.mail.Send(ctx, letter{o.Mail, "Thank you."}, faas.WithUnique(strconv.FormatInt(o.Number, 10), time.Hour))
	return fmt.Sprintf("order %d", o.Number), err
}

// resize is version 7, which has no fault.
func resize(ctx context.Context, p picture) (int, error) {
	faas.Logger(ctx).Info("decoded", "image", p.Image)
	return len(p.Sizes), takes(ctx, time.Duration(len(p.Sizes))*70*time.Millisecond)
}

// densities lacks an entry for the fourth size. This is the fault of version 8.
var densities = []int{1, 2, 3}

// resizeFaulty is version 8.
func resizeFaulty(ctx context.Context, p picture) (int, error) {
	log := faas.Logger(ctx)
	log.Info("decoded", "image", p.Image)
	if p.Format == "cmyk" {
		return 0, fmt.Errorf("decode: unsupported color model %q", p.Format)
	}
	pixels := 0
	for i, width := range p.Sizes {
		if err := takes(ctx, 60*time.Millisecond); err != nil {
			return 0, err
		}
		if i >= len(densities) {
			log.Error("no density", "sizes", len(p.Sizes))
		}
		pixels += width * densities[i]
	}
	return pixels, nil
}

// started makes an Init for a handler whose instances need a while to start, like code that loads a model or opens
// connections.
func started(h faas.Handler[picture, int], cold time.Duration) faas.Init[picture, int] {
	return func(ctx context.Context) (faas.Handler[picture, int], func(context.Context) error, error) {
		return h, nil, takes(ctx, cold)
	}
}

// export writes a report. Its driver sometimes hangs and ignores deadlines. The call then ends in time, and the handler
// goes on as a runaway, at most until the shop closes.
func (s *shop) export(ctx context.Context, r report) (int, error) {
	switch {
	case r.Rows == 0:
		return 0, fmt.Errorf("no rows for %s", r.Day)
	case r.Rows%20 == 0:
		select {
		case <-time.After(20 * time.Second):
		case <-s.closed:
		}
	}
	return r.Rows, takes(ctx, 900*time.Millisecond)
}

// send is the function mail. Its server accepts few connections, and refuses many while it is busy: for twenty seconds of
// each minute.
func send(ctx context.Context, l letter) (string, error) {
	if l.To == "" {
		return "", faas.Permanent(errors.New("mailbox does not exist"))
	}
	if time.Now().Second() < 20 && rand.IntN(3) == 0 {
		return "", errors.New("smtp 421: too many connections")
	}
	return "sent", takes(ctx, 110*time.Millisecond)
}

// nightly sums up the day. A timer starts it.
func nightly(ctx context.Context, _ faascron.Tick) (int, error) {
	return 0, takes(ctx, 400*time.Millisecond)
}
