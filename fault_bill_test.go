package faas_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas"
	"github.com/inproc/faas/cost"
)

// bill computes the price of calls of 128 MiB by one price list, call by call. Of package cost it
// uses nothing but the price list's name.
type bill struct {
	book                 string
	granularity, minimum time.Duration
	init                 bool     // the time of an init is billed
	second               *big.Rat // the price of a second
	call                 *big.Rat
	month                *big.Rat // the base fee of a month

	calls, units int64 // a unit is as long as the granularity
}

func newBills() []*bill {
	price := func(decimal string, share int64, of int64) *big.Rat {
		r, ok := new(big.Rat).SetString(decimal)
		if !ok {
			panic(decimal)
		}
		return r.Mul(r, big.NewRat(share, of))
	}
	lambda, other := price("0.20", 1, 1e6), price("0.40", 1, 1e6)
	cloudRun := price("0.0000025", 1, 8)
	cloudRun.Add(cloudRun, price("0.000024", 83, 1000))
	none := new(big.Rat)
	return []*bill{
		{"aws-lambda-arm", time.Millisecond, 0, true, price("0.0000133334", 1, 8), lambda, none, 0, 0},
		{"aws-lambda-x86", time.Millisecond, 0, true, price("0.0000166667", 1, 8), lambda, none, 0, 0},
		{"azure-consumption", time.Millisecond, 100 * time.Millisecond, false, price("0.000016", 1, 8), lambda, none, 0, 0},
		{"azure-flex", 100 * time.Millisecond, time.Second, false, price("0.000026", 1, 2), other, none, 0, 0},
		{"cloudflare-workers", time.Millisecond, 0, false, price("0.00002", 1, 1), price("0.30", 1, 1e6), price("5", 1, 1), 0, 0},
		{"digitalocean-functions", time.Millisecond, 100 * time.Millisecond, false, price("0.0000185", 1, 8), none, none, 0, 0},
		{"gcp-cloud-run", 100 * time.Millisecond, 0, true, cloudRun, other, none, 0, 0},
		{"scaleway-functions", time.Millisecond, 0, false, price("0.000012", 1, 8), price("0.15", 1, 1e6), none, 0, 0},
	}
}

func (b *bill) add(d time.Duration) { b.units += int64((d + b.granularity - 1) / b.granularity) }

func (b *bill) record(e *faas.Execution) {
	d := e.Duration
	if b.init {
		d += e.Init
	}
	b.calls++
	b.add(max(d, b.minimum))
}

// overrun adds the time of an overrun. It adds no call and no minimum, since the record of its
// call has both.
func (b *bill) overrun(o *faas.Overrun) { b.add(o.Duration) }

func (b *bill) check(t *testing.T, s cost.Statement) {
	t.Helper()
	want := new(big.Rat).SetInt64(b.calls)
	want.Mul(want, b.call).Add(want, b.month)
	seconds := big.NewRat(b.units, int64(time.Second/b.granularity)) // every granularity divides a second
	want.Add(want, seconds.Mul(seconds, b.second))
	assert.Zero(t, want.Cmp(s.Total.List.Amount()), "%s: %s, want %s", b.book, s.Total.List, want.FloatString(12))
	require.Equal(t, b.book, s.Book.Name)
}
