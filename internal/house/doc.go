// Package house has the tests of our own conventions: who may import whom,
// that packages say what they are, that files are formatted, that every RFC
// cited is listed, and that SQL counts its parameters in order.
//
// It has no code but tests, which read the files of the repository. They
// are to be quick, and to say what to do about what they find.
//
// Read floors_test.go for the table of imports.
package house
