// SPDX-License-Identifier: BSD-2-Clause
// The life of a flame graph: zoom, search, walk, colours. Knows the boxes and nothing else; names
// are read and written as text only, so that none of them can become markup or script.
(function () {
"use strict";
var LETTER = 6.6, LETTERS_MIN = 3;
var svg = document.documentElement;
var frames = [], selected = null, zoomed = null, found = "";

function byId(id) {
	return document.getElementById(id);
}

function framesRead() {
	var path = [];

	svg.querySelectorAll("g.f").forEach(function (group) {
		var rect = group.querySelector("rect"), title = group.querySelector("title").textContent;
		var depth = Number(group.dataset.d), end = title.lastIndexOf("\n");
		var frame = {
			group: group, rect: rect, text: group.querySelector("text"), depth: depth,
			label: title.slice(0, end), details: title.replace("\n", "  "),
			x: Number(rect.getAttribute("x")), width: Number(rect.getAttribute("width")),
			parent: depth ? path[depth - 1] : null, children: [],
		};

		path[depth] = frame;
		if (frame.parent)
			frame.parent.children.push(frame);
		frames.push(frame);
		group.addEventListener("click", function () { zoom(frame); });
		group.addEventListener("mouseenter", function () { detailsShow(frame); });
	});
}

function wide(letter) {
	return letter.codePointAt(0) >= 0x1100 ? 2 : 1;
}

function fitting(label, width) {
	var room = (width - 6) / LETTER, used = 0, cut = "", at = "";

	if (room < LETTERS_MIN)
		return "";
	for (var letter of label) {
		used += wide(letter);
		if (used > room)
			return cut + "..";
		at += letter;
		if (used <= room - 2)
			cut = at;
	}
	return label;
}

function place(frame, x, width) {
	frame.rect.setAttribute("x", x);
	frame.rect.setAttribute("width", width);
	frame.text.setAttribute("x", x + 3);
	frame.text.textContent = fitting(frame.label, width);
}

function within(frame, other) {
	while (frame && frame !== other)
		frame = frame.parent;
	return frame === other;
}

function zoom(frame) {
	var whole = frames[0], factor = whole.width / frame.width;

	frames.forEach(function (other) {
		var under = other !== frame && within(frame, other);
		var seen = under || within(other, frame);

		other.group.style.display = seen ? "" : "none";
		other.group.classList.toggle("under", under);
		if (under)
			place(other, whole.x, whole.width);
		else if (seen)
			place(other, whole.x + (other.x - frame.x) * factor, other.width * factor);
	});
	zoomed = frame;
	select(frame);
}

function detailsShow(frame) {
	byId("details").textContent = frame ? frame.details : " ";
}

function select(frame) {
	if (selected)
		selected.group.classList.remove("selected");
	selected = frame;
	if (frame)
		frame.group.classList.add("selected");
	detailsShow(frame);
}

// The share of the whole that lies in hits; one inside another counts once.
function search(words) {
	var share = 0, count = 0;

	found = words.toLowerCase();
	frames.forEach(function (frame) {
		var hit = found !== "" && frame.label.toLowerCase().includes(found);

		frame.inHit = hit || Boolean(frame.parent && frame.parent.inHit);
		frame.group.classList.toggle("hit", hit);
		count += hit;
		if (hit && !(frame.parent && frame.parent.inHit))
			share += frame.width / frames[0].width;
	});
	byId("matched").textContent = found === "" ? "" :
		(100 * share).toFixed(1) + " % in " + count + " frames";
}

function reset() {
	byId("search").value = "";
	search("");
	zoom(frames[0]);
	select(null);
}

function coloursTurn() {
	frames.forEach(function (frame) {
		var fill = frame.rect.getAttribute("fill");

		if (!frame.rect.dataset.other)
			return;
		frame.rect.setAttribute("fill", frame.rect.dataset.other);
		frame.rect.dataset.other = fill;
	});
	svg.classList.toggle("states");
	byId("colour").textContent = svg.classList.contains("states") ? "Colour by file"
		: "Colour by state";
}

function widest(list) {
	return list.reduce(function (best, frame) {
		return best && best.width >= frame.width ? best : frame;
	}, null);
}

function sibling(frame, step) {
	var list = frame.parent ? frame.parent.children : [frame];

	return list[list.indexOf(frame) + step] || frame;
}

function walk(key) {
	var from = selected || zoomed || frames[0];

	if (!selected)
		return from;
	switch (key) {
	case "ArrowDown":
		return widest(from.children) || from;
	case "ArrowUp":
		return from.parent || from;
	case "ArrowLeft":
		return sibling(from, -1);
	default:
		return sibling(from, 1);
	}
}

function keyTake(event) {
	var typing = event.target === byId("search");

	if (event.ctrlKey || event.altKey || event.metaKey)
		return;
	if (event.key === "Escape") {
		byId("search").blur();
		reset();
	} else if (typing) {
		return;
	} else if (event.key === "/") {
		byId("search").focus();
	} else if (event.key === "Enter" && selected && event.target.nodeName !== "BUTTON") {
		zoom(selected);
	} else if (event.key.startsWith("Arrow")) {
		var next = walk(event.key);

		if (next.group.style.display === "none")
			return;
		select(next);
	} else if (event.key === "c") {
		coloursTurn();
	} else {
		return;
	}
	event.preventDefault();
}

framesRead();
if (!frames.length)
	return;
zoomed = frames[0];
svg.classList.add("live");
byId("controls").style.display = "inline";
byId("search").addEventListener("input", function () { search(this.value); });
byId("reset").addEventListener("click", reset);
byId("colour").addEventListener("click", coloursTurn);
if (!frames[0].rect.dataset.other)
	byId("colour").style.display = "none";
document.addEventListener("keydown", keyTake);
})();
