package faasevents_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/inproc/faas"
	"github.com/inproc/faas/trigger/faasevents"
)

func ExampleHandler() {
	r := faas.New()
	defer r.Close()
	type order struct{ Total int }
	faas.Register(r, "review", func(_ context.Context, o order) (string, error) {
		return fmt.Sprintf("look at %d", o.Total), nil
	})
	faas.Register(r, "archive", func(_ context.Context, e cloudevents.Event) (struct{}, error) {
		fmt.Println("archived", e.Type(), e.ID())
		return struct{}{}, nil
	})

	events := faasevents.Handler(r,
		faasevents.On(`{"type": ["com.example.order"], "data": {"total": [{"numeric": [">", 100]}]}}`, "review"),
		faasevents.On(`{"type": [{"prefix": "com.example."}]}`, "archive"),
	)

	send := func(id, data string) {
		req := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(data))
		req.Header.Set("ce-specversion", "1.0")
		req.Header.Set("ce-id", id)
		req.Header.Set("ce-type", "com.example.order")
		req.Header.Set("ce-source", "/shops/7")
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		events.ServeHTTP(w, req)
		body, _ := io.ReadAll(w.Body)
		fmt.Println(w.Code, w.Header().Get("Ce-Type"), string(body))
	}
	send("1", `{"total": 120}`)
	send("2", `{"total": 20}`)
	// Output:
	// 200 com.example.order.reply "look at 120"
	// archived com.example.order 2
	// 204
}

func ExampleCompile() {
	p, err := faasevents.Compile(`{"source": [{"wildcard": "/shops/*/orders"}], "data": {"state": [{"anything-but": ["draft", "test"]}]}}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.MatchJSON([]byte(`{"source": "/shops/7/orders", "data": {"state": "paid"}}`)))
	fmt.Println(p.MatchJSON([]byte(`{"source": "/shops/7/orders", "data": {"state": "draft"}}`)))

	_, err = faasevents.Compile(`{"data": {"total": [{"numeric": [">", "100"]}]}}`)
	fmt.Println(err)
	// Output:
	// true <nil>
	// false <nil>
	// faasevents: /data/total/0/numeric/1: this must be a number, and is the text "100"
}

func ExampleWithEvent() {
	r := faas.New(faasevents.WithEvent())
	defer r.Close()
	faas.Register(r, "greet", func(ctx context.Context, name string) (string, error) {
		e, _ := faasevents.FromContext(ctx)
		return "hello " + name + ", says " + e.Source(), nil
	})
	events := faasevents.Handler(r, faasevents.On(`{}`, "greet"))
	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"specversion": "1.0", "id": "1", "type": "t", "source": "/shops/7", "data": "Ada"}`))
	req.Header.Set("Content-Type", cloudevents.ApplicationCloudEventsJSON)
	w := httptest.NewRecorder()
	events.ServeHTTP(w, req)
	reply := cloudevents.NewEvent()
	if err := reply.UnmarshalJSON(w.Body.Bytes()); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(reply.Data()))
	// Output: "hello Ada, says /shops/7"
}
