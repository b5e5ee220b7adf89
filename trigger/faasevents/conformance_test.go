package faasevents_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/inproc/faas/faastest"
	"github.com/inproc/faas/trigger/faasevents"
)

// The scenarios are those of
// https://github.com/cloudevents/conformance/blob/main/features/http-protocol-binding.feature.
func TestTheHTTPScenariosOfTheConformanceSuitePass(t *testing.T) {
	t.Parallel()
	h, events := receiver(t)
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8"} {
		res, body := post(t, h, map[string]string{
			"ce-specversion": "1.0", "ce-type": "com.example.someevent", "ce-time": "2018-04-05T03:56:24Z",
			"ce-id": "1234-1234-1234", "ce-source": "/mycontext/subcontext", "Content-Type": contentType,
		}, "{\n    \"message\": \"Hello World!\"\n}")
		require.Equal(t, http.StatusNoContent, res.StatusCode, body)
		requireScenario(t, events(), contentType)
	}
	for _, contentType := range []string{"application/cloudevents+json", "application/cloudevents+json; charset=utf-8"} {
		res, body := post(t, h, map[string]string{"Content-Type": contentType}, `{
			"specversion": "1.0",
			"type": "com.example.someevent",
			"time": "2018-04-05T03:56:24Z",
			"id": "1234-1234-1234",
			"source": "/mycontext/subcontext",
			"datacontenttype": "application/json",
			"data": {
				"message": "Hello World!"
			}
		}`)
		require.Equal(t, http.StatusNoContent, res.StatusCode, body)
		requireScenario(t, events(), "application/json")
	}
}

func requireScenario(t *testing.T, got []cloudevents.Event, contentType string) {
	t.Helper()
	require.Len(t, got, 1)
	e := got[0]
	require.Equal(t, []string{"1234-1234-1234", "1.0", "com.example.someevent", "/mycontext/subcontext", "2018-04-05T03:56:24Z", contentType},
		[]string{e.ID(), e.SpecVersion(), e.Type(), e.Source(), e.Time().Format("2006-01-02T15:04:05Z07:00"), e.DataContentType()})
	require.JSONEq(t, `{"message": "Hello World!"}`, string(e.Data()))
}

// The events are those of
// https://github.com/cloudevents/conformance/blob/main/yaml/v1.0/v1_minimum.yaml,
// in binary and in structured mode.
func TestTheMinimalEventsOfTheConformanceSuiteArrive(t *testing.T) {
	t.Parallel()
	h, events := receiver(t)
	for _, c := range []struct{ id, contentType, data string }{
		{"conformance-0001", "text/plain; charset=us-ascii", "Hello, World!\n"},
		{"conformance-0002", "text/plain; charset=utf-8", "Hello, 🌎!\n"},
		{"conformance-0003", "application/json; charset=utf-8", `"Hello, 🌎!"`},
		{"conformance-0004", "application/json; charset=utf-8", `{"msg":"Hello, 🌎!"}`},
		{"conformance-0005", "application/json; charset=utf-8", `["Hello","🌎!"]`},
		{"conformance-0006", "application/xml; charset=utf-8", "<msg>Hello, 🌎!</msg>\n"},
	} {
		want := cloudevents.NewEvent()
		want.SetID(c.id)
		want.SetType("io.cloudevents.minimum")
		want.SetSource("//github.com/cloudevents/cloudeventsconformance/yaml/v1.yaml")
		require.NoError(t, want.SetData(c.contentType, []byte(c.data)))
		structured, err := json.Marshal(want)
		require.NoError(t, err)
		for _, m := range []struct {
			header map[string]string
			body   string
		}{
			{map[string]string{"ce-specversion": "1.0", "ce-id": c.id, "ce-type": want.Type(), "ce-source": want.Source(), "Content-Type": c.contentType}, c.data},
			{map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsJSON}, string(structured)},
		} {
			res, body := post(t, h, m.header, m.body)
			require.Equal(t, http.StatusNoContent, res.StatusCode, body)
			got := events()
			require.Len(t, got, 1)
			require.Equal(t, want.Context, got[0].Context)
			require.Equal(t, c.data, string(got[0].Data()))
		}
	}
}

// The events are those of
// https://github.com/cloudevents/conformance/blob/main/format/json/valid-events.json.
func TestTheSuitesValidEventsAreTaken(t *testing.T) {
	t.Parallel()
	h, events := receiver(t)
	for name, more := range map[string]string{
		"minimal":             ``,
		"null for optional":   `, "datacontenttype": null, "dataschema": null, "subject": null, "time": null`,
		"all core attributes": `, "datacontenttype": "text/plain", "dataschema": "https://cloudevents.io/dataschema", "subject": "tests", "time": "2018-04-05T17:31:00Z"`,
		"time in UTC":         `, "time": "2018-04-05T17:31:00Z"`,
		"time to nanoseconds": `, "time": "2018-04-05T17:31:00.000000000Z"`,
		"time, east":          `, "time": "2018-04-05T18:31:00+01:00"`,
		"time, west":          `, "time": "2018-04-05T16:31:00-01:00"`,
		"text":                `, "datacontenttype": "text/plain", "data": "Simple text"`,
		"extensions":          `, "extinteger": 10, "extboolean": true, "extstring": "text", "exturi": "https://cloudevents.io", "exturiref": "//authority/path", "exttimestamp": "2023-03-31T15:12:00Z", "extbinary": "TWE="`,
		"data in base64":      `, "data_base64": "eyAieHl6IjogMTIzIH0="`,
	} {
		res, body := post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsJSON},
			`{"specversion": "1.0", "id": "x", "type": "io.cloudevents.test", "source": "https://cloudevents.io"`+more+`}`)
		require.Equal(t, http.StatusNoContent, res.StatusCode, "%s: %s", name, body)
		got := events()
		require.Len(t, got, 1)
		if at := got[0].Time(); !at.IsZero() {
			require.Equal(t, "2018-04-05T17:31:00Z", at.UTC().Format("2006-01-02T15:04:05Z07:00"), name)
		}
	}
	res, _ := post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsJSON},
		`{"id": "x", "specversion": "1.0", "type": "io.cloudevents.test", "source": "#fragment"}`)
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	require.Equal(t, "#fragment", events()[0].Source())
}

// The events are those of
// https://github.com/cloudevents/conformance/blob/main/format/json/invalid-events.json and, below
// the line, some that the suite does not have.
func TestTheSuitesInvalidEventsAreRefused(t *testing.T) {
	t.Parallel()
	h, events := receiver(t)
	const core = `"specversion": "1.0", "id": "invalid", "type": "io.cloudevents.test", "source": "https://cloudevents.io"`
	invalid := map[string]string{
		"no specversion":             `{"id": "invalid", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`,
		"no id":                      `{"specversion": "1.0", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`,
		"no type":                    `{"specversion": "1.0", "id": "invalid", "source": "https://cloudevents.io"}`,
		"no source":                  `{"specversion": "1.0", "id": "invalid", "type": "io.cloudevents.test"}`,
		"time is garbage":            `{` + core + `, "time": "lunchtime"}`,
		"time to the minute":         `{` + core + `, "time": "2018-04-05T18:31Z"}`,
		"time offset X":              `{` + core + `, "time": "2018-04-05T18:31:00X"}`,
		"time offset out of range":   `{` + core + `, "time": "2018-04-05T18:31:00+25:00"}`,
		"time offset no integer":     `{` + core + `, "time": "2018-04-05T18:31:00+xx:00"}`,
		"time offset hour only":      `{` + core + `, "time": "2018-04-05T18:31:00+05"}`,
		"empty id":                   `{"id": "", "specversion": "1.0", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`,
		"empty type":                 `{"id": "invalid", "specversion": "1.0", "type": "", "source": "https://cloudevents.io"}`,
		"empty source":               `{"id": "invalid", "specversion": "1.0", "type": "io.cloudevents.test", "source": ""}`,
		"empty specversion":          `{"id": "invalid", "specversion": "", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`,
		"unknown specversion":        `{"id": "invalid", "specversion": "0.9", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`,
		"datacontenttype not by RFC": `{` + core + `, "datacontenttype": "xyz"}`,
		"empty datacontenttype":      `{` + core + `, "datacontenttype": ""}`,
		"empty dataschema":           `{` + core + `, "dataschema": ""}`,
		"empty subject":              `{` + core + `, "subject": ""}`,
		"id is a number":             `{"id": 25, "specversion": "1.0", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`,
		"id is an object":            `{"id": {"xyz": "abc"}, "specversion": "1.0", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`,
		"extension in capitals":      `{` + core + `, "MyExtension": "bad"}`,
		"extension with a point":     `{` + core + `, "my.extension": "bad"}`,
		"extension not an integer":   `{` + core + `, "my.extension": 1.5}`,
		"data and data_base64":       `{` + core + `, "data": "text", "data_base64": "eyAieHl6IjogMTIzIH0="}`,

		"an array":                      `[{` + core + `}]`,
		"null":                          `null`,
		"something follows":             `{` + core + `} {}`,
		"cut off":                       `{` + core,
		"empty":                         ``,
		"extension is an object":        `{` + core + `, "ext": {"a": 1}}`,
		"data_base64 is a number":       `{` + core + `, "data_base64": 5}`,
		"data_base64 before, no string": `{"data_base64": 5, ` + core + `}`,
		"data_base64 is not base64":     `{` + core + `, "data_base64": "***"}`,
		"text data that is no string":   `{` + core + `, "datacontenttype": "text/plain", "data": {"a": 1}}`,
		"an extension of half a number": `{` + core + `, "ext": 1.5}`,
	}
	for name, e := range invalid {
		res, body := post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsJSON}, e)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "%s: %s", name, body)
		require.Equal(t, "malformed", problemIn(t, res, body).Reason)
		res, body = post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsBatchJSON}, `[{`+core+`}, `+e+`]`)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, "%s: %s", name, body)
		require.Empty(t, events(), "a batch with one that is invalid delivers none: %s", name)
	}
}

// The batches are those of
// https://github.com/cloudevents/conformance/blob/main/format/json/valid-batches.json
// and invalid-batches.json.
func TestTheSuitesBatches(t *testing.T) {
	t.Parallel()
	h, events := receiver(t)
	const one = `{"specversion": "1.0", "id": "minimal1", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`
	const two = `{"specversion": "1.0", "id": "minimal2", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}`
	for body, want := range map[string][]string{`[]`: nil, `[` + one + `]`: {"minimal1"}, `[` + one + `,` + two + `]`: {"minimal1", "minimal2"}} {
		res, answer := post(t, h, map[string]string{"Content-Type": "application/cloudevents-batch+json; charset=UTF-8"}, body)
		require.Equal(t, http.StatusNoContent, res.StatusCode, answer)
		var ids []string
		for _, e := range events() {
			ids = append(ids, e.ID())
		}
		slices.Sort(ids)
		require.Equal(t, want, ids)
	}
	for _, body := range []string{
		`[` + one + `, {"specversion": "0.9", "id": "minimal2", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}]`,
		`[{"specversion": "1.0", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}]`,
		`["not an object", ` + one + `]`,
		one,
	} {
		res, answer := post(t, h, map[string]string{"Content-Type": cloudevents.ApplicationCloudEventsBatchJSON}, body)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, answer)
		require.Empty(t, events())
	}
}

// receiver is a handler in front of a function that stores its events. events returns the events since
// its last call.
func receiver(tb testing.TB) (h http.Handler, events func() []cloudevents.Event) {
	tb.Helper()
	r := faastest.New(tb)
	box := newBox()
	registerBox(r, box)
	return faasevents.Handler(r, faasevents.On(catchAll, "keep")), box.take
}
