#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Linters that nobody here wrote find nothing to warn of in the OpenAPI
# document: Redocly's, by its recommended and its strict rules, and Spectral.

use warnings;
use strict;

use File::Temp qw(tempdir);
use Test::More;

my $modules = ($ENV{BUILD} // 'build') . '/linters/node_modules';
my $dir = tempdir(CLEANUP => 1);

# Redocly sends nothing, and asks for no newer version of itself.
@ENV{qw(REDOCLY_TELEMETRY REDOCLY_SUPPRESS_UPDATE_NOTICE)} = qw(off true);

open my $rules, '>', "$dir/rules.yaml" or die "$dir: $!\n";
print $rules "extends: ['spectral:oas']\n";
close $rules or die "$dir: $!\n";

open my $in, '<', 'docs/openapi.json' or die "docs/openapi.json: $!\n";
my $document = do { local $/; <$in> };

my %linters = (
    '@redocly/cli' => [ map { [ 'redocly', 'lint', "--extends=$_" ] }
        qw(recommended-strict spec) ],
    '@stoplight/spectral-cli' => [ [ 'spectral', 'lint', '-r',
        "$dir/rules.yaml", '-F', 'hint' ] ],
);

sub lint {
    my ($file, $program, @args) = @_;
    open my $out, '-|', 'sh', '-c', '"$@" 2>&1', 'sh',
        "$modules/.bin/$program", @args, $file or die "$program: $!\n";
    my $text = do { local $/; <$out> } // '';
    close $out;
    return ($?, $text);
}

plan skip_all => 'needs the packages of npm: make test installs them'
    if !grep { -d "$modules/$_" } keys %linters;

# A linter that says nothing of this one tells nothing.
my $bad = $document =~ s{schemas/Feeds"}{schemas/None"}r;
open my $file, '>', "$dir/bad.json" or die "$dir: $!\n";
print $file $bad;
close $file or die "$dir: $!\n";

for my $package (sort keys %linters) {
    SKIP: {
        skip "without $package: npm could not be reached", 1
            if !-d "$modules/$package";

        for my $command (@{ $linters{$package} }) {
            my ($rc, $text) = lint('docs/openapi.json', @$command);
            is($rc, 0, "@$command[0, 1, 2] finds nothing") or diag($text);
            ($rc) = lint("$dir/bad.json", @$command);
            isnt($rc, 0, 'and something in a document that is not sound');
        }
    }
}

done_testing();
