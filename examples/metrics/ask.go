package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/inproc/faas/examples/internal/table"
	"github.com/inproc/faas/observe/faasprom"
)

// panel is a panel of the dashboard, with its queries.
type panel struct {
	Title   string `json:"title"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
	Panels []panel `json:"panels"` // the panels inside, if this is a row
}

// panels returns the panels of the dashboard that have queries.
func panels() (all []panel, err error) {
	var dashboard panel // the dashboard has the field panels too
	if err := json.Unmarshal([]byte(faasprom.Dashboard()), &dashboard); err != nil {
		return nil, err
	}
	for todo := dashboard.Panels; len(todo) > 0; todo = todo[1:] {
		todo = append(todo, todo[0].Panels...)
		if len(todo[0].Targets) > 0 {
			all = append(all, todo[0])
		}
	}
	return all, nil
}

// filled returns a query with Grafana's variables replaced: over ten seconds, for all functions.
func filled(expr string) string {
	return strings.NewReplacer("$__rate_interval", "10s", "$function", ".*").Replace(expr)
}

// sample is one row of a query's answer.
type sample struct {
	labels map[string]string
	value  float64
}

// ask waits until each query of the dashboard has an answer, and prints all of the answers.
func ask(ctx context.Context, out io.Writer, server *server, patience time.Duration) error {
	all, err := panels()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(patience)
	for {
		answers, missing, err := server.answers(ctx, all)
		switch {
		case err == nil && len(missing) == 0:
			return show(out, all, answers)
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return errors.Join(err, fmt.Errorf("no answer to: %s", strings.Join(missing, "; ")))
		}
		time.Sleep(time.Second) // the interval of the scrapes
	}
}

// answers runs all queries. It returns the answers by query, and the queries without an answer.
func (s *server) answers(ctx context.Context, all []panel) (answers map[string][]sample, missing []string, err error) {
	answers = map[string][]sample{}
	for _, p := range all {
		for _, t := range p.Targets {
			got, err := s.query(ctx, filled(t.Expr))
			if err != nil {
				return nil, missing, err
			}
			if len(got) == 0 {
				missing = append(missing, p.Title+": "+t.Expr)
			}
			answers[t.Expr] = got
		}
	}
	return answers, missing, nil
}

// query runs one query. It leaves out values that are not a number, such as a quantile of no values.
func (s *server) query(ctx context.Context, expr string) ([]sample, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer struct {
		Error string `json:"error"`
		Data  struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
				Value  [2]any            `json:"value"` // the time, and the value as text
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error != "" {
		return nil, errors.Join(err, fmt.Errorf("%s: %s", expr, answer.Error))
	}
	var all []sample
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			delete(r.Metric, "__name__")
			delete(r.Metric, "job")
			delete(r.Metric, "instance")
			all = append(all, sample{r.Metric, v})
		}
	}
	return all, nil
}

// show prints a table for each panel.
func show(out io.Writer, all []panel, answers map[string][]sample) error {
	for _, p := range all {
		fmt.Fprintf(out, "\n%s\n", p.Title)
		t := table.New("of", "value")
		for _, target := range p.Targets {
			rows := answers[target.Expr]
			slices.SortFunc(rows, func(a, b sample) int { return cmp.Compare(b.value, a.value) })
			for _, r := range rows[:min(len(rows), 6)] {
				t.Line(legend(r.labels), fmt.Sprintf("%.4g", r.value))
			}
		}
		t.Print(out)
	}
	fmt.Fprintf(out, "\nAll %d panels have answers.\n", len(all))
	return nil
}

func legend(labels map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, name+"="+labels[name])
	}
	return cmp.Or(strings.Join(all, " "), "all")
}

func number(n int) string { return strconv.Itoa(n) }
