package faasotel_test

import (
	_ "embed"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.yaml.in/yaml/v3"

	"github.com/inproc/faas"
	"github.com/inproc/faas/observe"
	"github.com/inproc/faas/observe/faasotel"
)

//go:embed testdata/faas-metrics.yaml
var conventionText []byte

type convention struct {
	Attributes []string
	Metrics    []struct {
		Name, Instrument, Unit string
		Bounds                 []float64
	}
	Absent []string
}

// produced collects the metrics once, and returns them by name.
func produced(t *testing.T, p sdkmetric.Producer) map[string]metricdata.Metrics {
	t.Helper()
	scopes, err := p.Produce(t.Context())
	require.NoError(t, err)
	require.Len(t, scopes, 1)
	all := map[string]metricdata.Metrics{}
	for _, m := range scopes[0].Metrics {
		all[m.Name] = m
	}
	return all
}

func TestMetricsHaveTheNamesUnitsAndInstrumentsOfTheConvention(t *testing.T) {
	t.Parallel()
	var c convention
	require.NoError(t, yaml.Unmarshal(conventionText, &c))
	rec := observe.NewRecorder()
	rec.Record(t.Context(), faas.Execution{Function: "f", Version: "1", Cold: true})
	all := produced(t, faasotel.Producer(nil, rec))
	exponential := produced(t, faasotel.Producer(nil, rec, faasotel.WithExponential()))
	assert.Len(t, all, len(c.Metrics), "all that there is, is in the convention")
	for _, want := range c.Metrics {
		got := all[want.Name]
		assert.Equal(t, want.Unit, got.Unit, want.Name)
		assert.NotEmpty(t, got.Description, want.Name)
		assert.Equal(t, want.Instrument, instrument(got.Data), want.Name)
		assert.Equal(t, want.Instrument, instrument(exponential[want.Name].Data), want.Name)
		assert.Equal(t, want.Bounds, boundsOf(got.Data), want.Name)
		for _, name := range append([]string{"faas.name", "faas.version"}, c.Attributes...) {
			_, ok := new(attributesOf(got.Data)).Value(attribute.Key(name))
			assert.True(t, ok, "%s of %s", name, want.Name)
		}
		assert.Equal(t, len(c.Attributes)+2, new(attributesOf(got.Data)).Len(), want.Name)
	}
	for _, name := range c.Absent {
		assert.NotContains(t, all, name)
	}
}

func instrument(data metricdata.Aggregation) string {
	switch d := data.(type) {
	case metricdata.Histogram[float64], metricdata.ExponentialHistogram[float64]:
		return "histogram"
	case metricdata.Sum[int64]:
		if d.IsMonotonic {
			return "counter"
		}
	}
	return "another"
}

func boundsOf(data metricdata.Aggregation) []float64 {
	if h, ok := data.(metricdata.Histogram[float64]); ok {
		return h.DataPoints[0].Bounds
	}
	return nil
}

func attributesOf(data metricdata.Aggregation) attribute.Set {
	switch d := data.(type) {
	case metricdata.Histogram[float64]:
		return d.DataPoints[0].Attributes
	case metricdata.Sum[int64]:
		return d.DataPoints[0].Attributes
	}
	return *attribute.EmptySet()
}
