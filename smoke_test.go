package faas_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inproc/faas"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var recs []faas.Execution
		r := faas.New(faas.WithMeter(faas.MeterFunc(func(_ context.Context, e faas.Execution) { recs = append(recs, e) })))
		f := faas.Register(r, "add", func(ctx context.Context, in int) (int, error) { return in + 1, nil })
		for i := range 10 {
			v, err := f.Invoke(t.Context(), i)
			if v != i+1 || err != nil {
				t.Fatal(v, err)
			}
		}
		deaf := faas.Register(r, "deaf", func(ctx context.Context, in int) (int, error) { time.Sleep(time.Hour); return 1, nil }, faas.WithTimeout(time.Second))
		_, err := deaf.Invoke(context.Background(), 1)
		t.Log(err, errors.Is(err, context.DeadlineExceeded), r.Stats())
		b, err := r.Invoke(context.Background(), "add", []byte("41"))
		t.Log(string(b), err)
		_, err = r.Invoke(context.Background(), "add", []byte("x"))
		t.Log(string(b), err)
		_, err = r.Invoke(context.Background(), "bdd", []byte("x"))
		t.Log(string(b), err)
		t.Logf("%+v", recs[len(recs)-2])
		ctx, c := context.WithTimeout(context.Background(), time.Minute)
		defer c()
		t.Log(r.Shutdown(ctx))
		t.Log(r.Stats())
		time.Sleep(time.Hour)
	})
}

func BenchmarkTyped(b *testing.B) {
	r := faas.New()
	defer r.Close()
	f := faas.Register(r, "add", func(ctx context.Context, in int) (int, error) { return in + 1, nil })
	b.ReportAllocs()
	for b.Loop() {
		f.Invoke(context.Background(), 1)
	}
}

func BenchmarkInline(b *testing.B) {
	r := faas.New(faas.WithInline())
	defer r.Close()
	f := faas.Register(r, "add", func(ctx context.Context, in int) (int, error) { return in + 1, nil })
	b.ReportAllocs()
	for b.Loop() {
		f.Invoke(context.Background(), 1)
	}
}
