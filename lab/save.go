package lab

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// An Exporter is a report in each of the formats that it is saved in.
type Exporter interface {
	WriteJSON(io.Writer) error
	WriteCSV(io.Writer) error
	WriteMarkdown(io.Writer) error
}

// Save writes a report to a file: as JSON or CSV when its name ends so, else
// as Markdown.
func Save(name string, e Exporter) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json":
		return e.WriteJSON(f)
	case ".csv":
		return e.WriteCSV(f)
	}
	return e.WriteMarkdown(f)
}

// WriteJSON writes a report as people may read it: indented, and with < and >
// as they are.
func WriteJSON(w io.Writer, report any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
