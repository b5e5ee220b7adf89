package cost

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"slices"
)

//go:embed books/*.json
var presets embed.FS

// Presets returns the books that come with the package, in the order of their names:
//
//	aws-lambda-arm          AWS Lambda, Arm
//	aws-lambda-x86          AWS Lambda, x86
//	azure-consumption       Azure Functions, Consumption
//	azure-flex              Azure Functions, Flex Consumption on demand
//	cloudflare-workers      Cloudflare Workers Paid, by processor time
//	digitalocean-functions  DigitalOcean Functions
//	gcp-cloud-run           Google Cloud Run, request-based
//	scaleway-functions      Scaleway Serverless Functions, in EUR
//
// Their prices were read by third parties, in 2026. Where a change of prices is known, the
// preset is a series ([NewSeries]): for example Lambda's, which bills the initialization of
// instances since 2025-08-01. The two books of Lambda share their free quantities when
// [NewStatements] prices them together. For a machine of your own see [Machine].
func Presets() []*Book {
	files, err := presets.ReadDir("books")
	if err != nil {
		panic(err) // cannot happen: the files are compiled in
	}
	byName := map[string][]*Book{}
	for _, file := range files {
		b, err := preset(file.Name())
		if err != nil {
			panic(err) // cannot happen: a test reads each book
		}
		byName[b.about.Name] = append(byName[b.about.Name], b)
	}
	var all []*Book
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		b, err := NewSeries(byName[name]...)
		if err != nil {
			panic(err) // it holds for what is compiled in
		}
		all = append(all, b)
	}
	return all
}

// Preset returns the book of [Presets] with that name, or an error that lists the names.
func Preset(name string) (*Book, error) {
	var names []string
	for _, b := range Presets() {
		if b.about.Name == name {
			return b, nil
		}
		names = append(names, b.about.Name)
	}
	return nil, fmt.Errorf("cost: no preset book %q; there are %q", name, names)
}

// preset reads one of the books that are compiled in.
func preset(file string) (*Book, error) {
	data, err := presets.ReadFile(path.Join("books", file))
	if err != nil {
		return nil, err
	}
	return parseBook(file, data)
}
