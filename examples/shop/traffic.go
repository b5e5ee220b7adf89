package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/inproc/faas"
)

// stream is the calls of one kind: Poisson arrivals at a rate that rises and falls, with bursts.
type stream struct {
	name  string  // the function's name that callers use
	rate  float64 // calls per second, on average
	burst float64 // the factor of the rate during a burst
	job   bool    // the calls are sent as jobs
	input func(n int, r *rand.Rand) any
}

// streams are the calls that the shop's customers and staff make. Two functions have no stream: fraud is called by
// checkout, and nightly by a timer. checkout also sends most of the mails.
var streams = []stream{
	{name: "price", rate: 60, burst: 4, input: func(_ int, r *rand.Rand) any { return article{r.IntN(100_000), "EUR"} }},
	{name: "search", rate: 30, burst: 3, input: func(_ int, r *rand.Rand) any { return article{SKU: r.IntN(100_000)} }},
	{name: "checkout", rate: 6, burst: 2, input: func(n int, r *rand.Rand) any {
		return order{math.MaxInt64 - int64(n), 100 * r.IntN(500), "4000-0000", fmt.Sprintf("customer%d@example.com", n)}
	}},
	{name: "resize:live", rate: 6, burst: 3, input: func(n int, r *rand.Rand) any {
		format := "webp"
		if r.IntN(12) == 0 {
			format = "cmyk"
		}
		return picture{fmt.Sprintf("sku-%d/front.png", r.IntN(100_000)), 9_007_199_254_740_993 + int64(n), []int{320, 640, 1280, 1920}[:2+r.IntN(3)], format, "s3cret"}
	}},
	{name: "export", rate: 1.5, burst: 3, input: func(n int, r *rand.Rand) any {
		return report{time.Now().AddDate(0, 0, -n).Format(time.DateOnly), r.IntN(200)}
	}},
	{name: "mail", rate: 0.3, burst: 1, job: true, input: func(_ int, r *rand.Rand) any {
		if r.IntN(5) == 0 {
			return letter{"", "Our news."}
		}
		return letter{"list@example.com", "Our news."}
	}},
}

// play runs the streams until ctx ends, at speed times their rates. It returns when the last call has been answered. The
// same seed gives the same calls at the same times.
func (s *shop) play(ctx context.Context, seed uint64, speed float64) {
	var running sync.WaitGroup
	for i, c := range streams {
		running.Go(func() { s.run(ctx, c, rand.New(rand.NewPCG(seed, uint64(i))), speed) })
	}
	running.Wait()
}

// run makes the calls of a stream.
func (s *shop) run(ctx context.Context, c stream, r *rand.Rand, speed float64) {
	var calls sync.WaitGroup
	defer calls.Wait()
	p, timer := pace{stream: c}, time.NewTimer(0)
	defer timer.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		tenant, input := pick(r), c.input(n, r)
		calls.Go(func() { s.call(ctx, c, tenant, input) })
		timer.Reset(time.Duration(p.next(r) / speed * float64(time.Second)))
	}
}

// pace is the state of a stream, in seconds of its own time.
type pace struct {
	stream

	now, turn float64 // turn is the time of the next change of the rate
	at        float64 // the rate until then
}

// next returns the time until the next call.
func (p *pace) next(r *rand.Rand) float64 {
	if p.now >= p.turn {
		p.at, p.turn = p.rate*(0.7+0.6*r.Float64()), p.now+5+10*r.Float64()
		if r.IntN(6) == 0 {
			p.at *= p.burst
		}
	}
	wait := r.ExpFloat64() / p.at
	p.now += wait
	return wait
}

// call makes one call, or sends one job. It ignores the result, which the admin API shows.
func (s *shop) call(ctx context.Context, c stream, tenant string, input any) {
	payload, err := json.Marshal(input)
	if err != nil {
		return
	}
	ctx = faas.WithOrigin(faas.WithTenant(ctx, tenant), faas.Origin{Trigger: "http", Key: tenant})
	if c.job {
		_, _ = s.Send(ctx, c.name, payload)
		return
	}
	_, _ = s.Invoke(ctx, c.name, payload)
}

// pick returns a random tenant, weighted by their shares.
func pick(r *rand.Rand) string {
	x := r.Float64()
	for _, t := range tenants {
		if x -= t.share; x < 0 {
			return t.name
		}
	}
	return tenants[0].name
}
