package webd

import "strings"

// What browsers and systems call themselves in User-Agent. Most name others,
// too, so the first that is found counts.
var (
	browsers = [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}}
	systems  = [][2]string{{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}}
)

// browserName shortens a User-Agent to what a person would call it, such as
// "Firefox · Windows". What it does not know stays as it is.
func browserName(agent string) string {
	browser, system := firstNamed(browsers, agent), firstNamed(systems, agent)
	if browser == "" || system == "" {
		return agent
	}
	return browser + " · " + system
}

func firstNamed(names [][2]string, agent string) string {
	for _, n := range names {
		if strings.Contains(agent, n[0]) {
			return n[1]
		}
	}
	return ""
}
