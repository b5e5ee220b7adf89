package source_test

import (
	"context"
	"fmt"
	"time"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/pattern"
	"github.com/inproc/faas/trigger/source"
)

func ExampleDrive() {
	r := faas.New()
	defer r.Close()
	type file struct {
		Name string `json:"name"`
		Size int    `json:"size"`
	}
	faas.Register(r, "thumbnail", func(_ context.Context, f file) (struct{}, error) {
		fmt.Println("thumbnail of", f.Name)
		return struct{}{}, nil
	})
	var uploads source.Memory // in place of a bucket, a table or a broker
	d, err := source.Drive(r, &uploads, source.To("thumbnail"), source.WithFilter(pattern.MustCompile(`{"name": [{"suffix": ".jpg"}]}`)))
	if err != nil {
		fmt.Println(err)
		return
	}
	uploads.Put(
		source.Item{ID: "f-1", Payload: []byte(`{"name": "cat.jpg", "size": 70000}`)},
		source.Item{ID: "f-2", Payload: []byte(`{"name": "notes.txt", "size": 900}`)},
	)
	uploads.End() // otherwise it runs until Stop, or the router's Shutdown
	<-d.Done()
	counts := d.Info(context.Background()).Counts
	fmt.Println(counts.Accepted, "accepted,", counts.Filtered, "left out,", uploads.Len(), "left")
	// Output:
	// thumbnail of cat.jpg
	// 1 accepted, 1 left out, 0 left
}

func ExampleRegisterBatch() {
	r := faas.New()
	defer r.Close()
	source.RegisterBatch(r, "store", func(_ context.Context, batch source.Batch[int]) (failed source.Failed, err error) {
		for _, item := range batch.Items {
			if item.Input < 0 {
				failed = append(failed, item.ID) // the other items have succeeded
			}
		}
		fmt.Println(len(batch.Items), "readings, failed:", failed)
		return failed, nil
	}, faas.WithRetry(faas.Retry{Max: 1, First: time.Millisecond})) // one more attempt, of the failed items
	var readings source.Memory
	for n := range 5 {
		readings.Put(source.Item{ID: fmt.Sprint("r-", n), Payload: fmt.Append(nil, 10*n-10)})
	}
	readings.End()
	d, err := source.Drive(r, &readings, source.To("store"), source.WithBatch(5, time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	<-d.Done()
	// Output:
	// 5 readings, failed: [r-0]
	// 1 readings, failed: [r-0]
}
