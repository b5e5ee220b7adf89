package main

import (
	"os"
	"testing"
)

func TestThePictureInDocsIsWhatIsDrawn(t *testing.T) {
	have, err := os.ReadFile("../../docs/img/invocation.svg")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != draw() {
		t.Error("docs/img/invocation.svg is old: GOWORK=off go -C tools run ./callpicture > docs/img/invocation.svg")
	}
}
