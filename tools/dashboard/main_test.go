package main

import (
	"bytes"
	"os"
	"testing"
)

func TestTheDashboardInTheRepositoryIsTheOneThatIsBuilt(t *testing.T) {
	t.Parallel()
	want, err := build()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../observe/faasprom/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("it is another: go -C tools run ./dashboard -o ../observe/faasprom/dashboard.json")
	}
}
