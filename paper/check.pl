#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# check.pl: does the paper say what it says by name?
#
#	perl paper/check.pl NUMBERS.INI REFERENCES.BIB CLAIMS.INI... -- FILE.TEX...
#
# Complains, with file and line, of
#
#	a number that is typed, in digits, words or fractions ("a third of", "half"),
#	outside of \param, \reported and \code: \num, \within and the others take
#	it from results
#	\reported in a paragraph that cites nobody
#	a number, table or claim that nobody defines, and one of numbers.ini that
#	nobody uses
#	a reference that is not in the bibliography, and one of it that is not cited
#	a note, N1 to N13, or open question, Q1 or Q2, whose claims stand nowhere, or
#	twice
#
# Exit status: 0; 1 if there was a complaint; 2 if the command line makes no sense.

use strict;
use warnings;

my $bad = 0;

sub complain
{
	my ($file, $line, $what) = @_;

	print "$file:$line: $what\n";
	$bad = 1;
}

my (@before, @tex);
push @before, shift @ARGV while @ARGV && $ARGV[0] ne '--';
shift @ARGV;
@tex = @ARGV;
if (@before < 3 || !@tex) {
	print STDERR "usage: check.pl NUMBERS.INI REFERENCES.BIB CLAIMS.INI... -- FILE.TEX...\n";
	exit 2;
}

sub slurp
{
	my ($file) = @_;

	open my $in, '<', $file or do { print STDERR "$file: $!\n"; exit 2 };
	local $/;
	return scalar <$in>;
}

my ($ini, $bib, @claims) = @before;
my (%defined, %claim, %reference, %used, %cited, %noted);
{
	my $text = slurp($ini);
	$defined{$1}{$2} = 1 while $text =~ /^\[(number|table) ([^\]]+)\]/mg;
}
for my $file (@claims) {
	my $text = slurp($file);
	$claim{$1} = 1 while $text =~ /^\[claim ([^\]]+)\]/mg;
}
{
	my $text = slurp($bib);
	$reference{$1} = 1 while $text =~ /^\@\w+\{([^,]+),/mg;
}

my $braces;
$braces = qr/\{(?:[^{}]++|(??{ $braces }))*\}/;
my $units = qr/(?:fold|(?:\s+|-)(?:times|percent|per\s+cent|(?:nano|micro|milli)?seconds?|cycles|bytes|KiB|MiB|GiB|pages|instructions))/i;
my $words = qr/two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?/i;
my $counts = qr/an?|one|two|three|four|five|six|seven|eight|nine/i;
my $part = qr/third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth|twelfth|sixteenth|twentieth|hundredth|thousandth/i;
# "A third way" and "a tenth of a second" differ in what comes next.
my $of_what = qr/(?=\s+(?:of|more|less|fewer|as|again|the|faster|slower|longer|shorter|cheaper|dearer|lower|higher|smaller|larger)\b|\s*(?:[.,;:)]|\z))/i;
my $fractions = qr/(?<!other\s)half(?!-)|halves|halved|(?:$part)s|(?:$counts)[\s-]+(?:$part)$of_what|(?:doubl|tripl|quadrupl)e[sd]\s+(?:the|its|their)|as\s+much\s+again|orders?\s+of\s+magnitude|dozens?/i;

# What a name stands for is elsewhere.  Newlines stay, so that lines can be counted.
sub blank
{
	my ($text) = @_;

	return $text =~ s/[^\n]//gr;
}

sub read_tex
{
	my ($file) = @_;
	my $text = slurp($file);
	my $line = 1;

	$text =~ s/(?<!\\)%[^\n]*//g;
	$text =~ s/^(.*?\\begin\{document\})/blank($1)/se;
	for my $paragraph (split /(\n\s*\n)/, $text) {
		check_paragraph($file, $line, $paragraph);
		$line += $paragraph =~ tr/\n//;
	}
}

sub known
{
	my ($file, $line, $macro, $name) = @_;
	my $kind = $macro eq 'rows' ? 'table' : $macro =~ /^verdict/ ? 'claim' : 'number';

	$used{$kind}{$name} = 1;
	return if $macro eq 'rows' && $name eq 'verdicts';
	complain($file, $line, "no claims.ini has a claim $name")
		if $kind eq 'claim' && !$claim{$name};
	complain($file, $line, "$ini has no $kind $name")
		if $kind ne 'claim' && !$defined{$kind}{$name} && !($kind eq 'number' && $claim{$name});
}

sub check_paragraph
{
	my ($file, $first, $text) = @_;
	my $at = sub { $first + (substr($text, 0, $_[0]) =~ tr/\n//) };

	while ($text =~ /\\(num|within|samples|rows|verdict|verdictcase|sidecase)\{([^}]*)\}/g) {
		known($file, $at->($-[0]), $1, $2);
	}
	while ($text =~ /\\claims\{([^}]*)\}/g) {
		complain($file, $at->($-[0]), "the claims about $1 stand twice") if $noted{$1}++;
	}
	while ($text =~ /\\cite(?:\[[^\]]*\])?\{([^}]*)\}/g) {
		for my $key (split /\s*,\s*/, $1) {
			$cited{$key} = 1;
			complain($file, $at->($-[0]), "$bib has no $key") unless $reference{$key};
		}
	}
	complain($file, $at->($-[0]), '\\reported in a paragraph that cites nobody')
		if $text =~ /\\reported\{/ && $text !~ /\\cite[\[{]/;

	# What is left when names, sizes and layout are taken away holds no number.
	my $left = $text;
	$left =~ s/\\(?:num|within|samples|rows|verdicts?|verdictcase|sidecase|claims|cite|ref|label|input|bibliography(?:style)?|plotfigure\*?|param|reported|setlength|hspace|vspace)(?:\[[^\]]*\])?$braces/blank($&)/ge;
	$left =~ s/\\begin\{(?:tabular|tabularx|minipage)\*?\}(?:\[[^\]]*\])?$braces(?:$braces)?/blank($&)/ge;
	$left =~ s/\\begin\{[a-z*]+\}\[[^\]]*\]/blank($&)/ge;
	$left =~ s/\\(?:code|texttt)\{[A-Za-z_\\][^{}]*\}/blank($&)/ge;
	$left =~ s/\\(?:multicolumn|cmidrule)(?:\([^)]*\))?$braces/blank($&)/ge;
	$left =~ s/\\\\\[[^\]]*\]/blank($&)/ge;
	$left =~ s/\b(?:N(?:[1-9]|1[0-3])|Q[12])\b/blank($&)/ge;
	while ($left =~ /([^\s{}]*\d[^\s{}]*)/g) {
		complain($file, $first + (substr($left, 0, $-[0]) =~ tr/\n//), "\"$1\" is typed");
	}
	while ($left =~ /\b((?:$words)$units|twice|thrice|$fractions)\b/gi) {
		complain($file, $first + (substr($left, 0, $-[0]) =~ tr/\n//), "\"$1\" is typed");
	}
}

read_tex($_) for @tex;
for my $kind (sort keys %defined) {
	for my $name (sort keys %{$defined{$kind}}) {
		complain($ini, 1, "nobody uses $kind $name") unless $used{$kind}{$name};
	}
}
for my $key (sort keys %reference) {
	complain($bib, 1, "nobody cites $key") unless $cited{$key};
}
for my $note ((map { "N$_" } 1 .. 13), 'Q1', 'Q2') {
	complain($tex[0], 1, "the claims about $note stand nowhere") unless $noted{$note};
}
exit $bad;
