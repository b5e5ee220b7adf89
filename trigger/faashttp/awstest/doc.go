// Package awstest calls functions with the AWS SDK for Go. It is a module of its
// own so that nobody who uses faas gets the SDK with it, and has no code but its
// tests.
package awstest
