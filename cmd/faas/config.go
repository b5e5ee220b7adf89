package main

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const setUp = `The host is in the environment:

  FAAS_URL    its address, such as http://127.0.0.1:8080
  FAAS_TOKEN  the bearer token, if the host wants one

or in the file $XDG_CONFIG_HOME/faas/config (else ~/.config/faas/config), that only you can read:

  url = https://faas.example.com
  token = …

A token is never given on the command line, where other users of the machine see it.`

// config is the address of the host, and the token for it.
type config struct {
	url   *url.URL
	token string
	from  string // the source of the address, for errors
}

// config reads the environment, and takes what is missing there from the config file. The
// file's token is for the file's address: it is not sent to another host.
func (a *app) config() (config, error) {
	address, token, from := a.env("FAAS_URL"), a.env("FAAS_TOKEN"), "FAAS_URL"
	if address == "" || token == "" {
		path := a.configPath()
		fileURL, fileToken, err := readConfig(path)
		switch {
		case err != nil:
			return config{}, err
		case address == "":
			address, from = fileURL, path
		}
		if token == "" && sameHost(address, fileURL) {
			token = fileToken
		}
	}
	if address == "" {
		return config{}, &exitError{code: exitUsage, text: "no host is set", hint: "Set FAAS_URL, for example: export FAAS_URL=http://127.0.0.1:8080"}
	}
	u, err := parseAddress(address, from)
	if err != nil {
		return config{}, err
	}
	return config{url: u, token: token, from: from}, a.checkToken(u, token, from)
}

// sameHost reports whether two addresses have the same scheme and host.
func sameHost(a, b string) bool {
	x, err := url.Parse(a)
	if err != nil {
		return false
	}
	y, err := url.Parse(b)
	return err == nil && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host)
}

// configPath returns the path of the config file, or "" if neither XDG_CONFIG_HOME nor a home
// directory is set. The file is never in the current directory, since a file there may come
// from someone else.
func (a *app) configPath() string {
	if dir := a.env("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "faas", "config")
	}
	home := cmp.Or(a.env("HOME"), a.env("USERPROFILE")) // USERPROFILE is the home directory on Windows
	if home == "" {
		return ""
	}
	return filepath.Join(home, ".config", "faas", "config")
}

// readConfig reads the config file. It is no error if there is none.
func readConfig(path string) (address, token string, err error) {
	if path == "" {
		return "", "", nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", usagef("%s can't be read: %v", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", "", usagef("%s can't be read: %v", path, err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", "", &exitError{code: exitUsage, text: "others can read or change " + path + ", and a token may be in it", hint: "chmod 600 " + path}
	}
	return parseConfig(path, f)
}

// parseConfig reads lines of the form "name = value". A line that begins with # is a comment.
func parseConfig(path string, r io.Reader) (address, token string, err error) {
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		switch value = strings.Trim(strings.TrimSpace(value), `"`); strings.TrimSpace(name) {
		case "url":
			address = value
		case "token":
			token = value
		default: // the error does not quote the line: a token may be in it
			return "", "", usagef("%s, line %d: it is neither url = … nor token = …", path, n)
		}
	}
	if err := lines.Err(); err != nil {
		return "", "", usagef("%s can't be read: %v", path, err)
	}
	return address, token, nil
}

// parseAddress parses the address of a host. It does not return the error of url.Parse, which
// would quote the address and a password in it.
func parseAddress(address, from string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, &exitError{code: exitUsage, text: "the address in " + from + " is not the address of a host", hint: "It is such as https://faas.example.com or http://127.0.0.1:8080."}
	}
	if u.User != nil {
		return nil, &exitError{code: exitUsage, text: "the address in " + from + " holds a user or a password", hint: "Leave it out, and set FAAS_TOKEN to the token."}
	}
	u.Path, u.RawQuery, u.Fragment = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/v1"), "", ""
	return u, nil
}

// checkToken returns an error if the token would be sent over a network unencrypted, or can't
// be a token.
func (a *app) checkToken(u *url.URL, token, from string) error {
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return usagef("the token holds a space, a line's end or another character that no token has")
	}
	if token == "" || u.Scheme == "https" || isLoopback(u.Hostname()) || a.env("FAAS_CLEAR_TEXT") == "1" {
		return nil
	}
	return &exitError{
		code: exitUsage, text: "the address in " + from + " is http, by which others on the network could read the token",
		hint: "Use https, or set FAAS_CLEAR_TEXT=1 if the network is trusted.",
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
