// Dashboard builds the Grafana dashboard for the metrics of observe/faasprom.
//
//	GOWORK=off go -C tools run ./dashboard -o ../observe/faasprom/dashboard.json
//
// Without -o it prints the JSON.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "", "write to this `file`")
	flag.Parse()
	text, err := build()
	if err == nil {
		err = write(*out, text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func write(file string, text []byte) error {
	if file == "" {
		_, err := os.Stdout.Write(text)
		return err
	}
	return os.WriteFile(file, text, 0o644)
}
