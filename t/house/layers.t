#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The folders are layers: a file includes only headers of its own folder and of
# those below.  shared/ knows neither nginx nor curl, and processes never
# include each other.  A header declares only functions of its own folder, so
# a reader finds the code beside it.  Each header has an include guard of its
# own.

use warnings;
use strict;

use Test::More;

# Bottom to top, as the table of docs/architecture.md has them.
my ($table) = slurp('docs/architecture.md')
    =~ /^## Folders of the library\n(.*?)^## /ms;
my @order = $table =~ m{^\| `(\w+)/` \|}mg;
is_deeply([ sort @order ], [ sort map { m{(\w+)/$} } glob 'shared/*/' ],
    'docs/architecture.md lists the folders of shared/');
my %rank;
@rank{@order} = 0 .. $#order;

my (@up, @foreign, %guard);

for my $file (sort split /\n/, `find shared -name '*.[ch]'`) {
    my ($folder) = $file =~ m{^shared/(\w+)/\w+\.[ch]$};
    ok(defined $folder && defined $rank{$folder}, "$file is in a known folder")
        or next;
    for my $include (includes($file)) {
        my ($to, $name) = $include =~ m{^(?:(\w+)/)?(\w+)\.h$};
        $to //= 'include';
        push @up, "$file: $include" if !defined $rank{$to}
            || $rank{$to} > $rank{$folder} || !-e "shared/$to/$name.h";
    }
    push @foreign, $file
        if slurp($file) =~ m{#\s*include\s*<(?:ngx_|nginx|curl/|ev\.h)};
}
is_deeply(\@up, [], 'no file of shared/ includes a header of a layer above');
is_deeply(\@foreign, [], 'shared/ includes neither nginx nor curl nor libev');

# What a process includes is its own or shared/'s.
for my $process (qw(ngx_module dispatcher ctl)) {
    my @others = grep { !-e "$process/$_->[1]" && !-e "shared/$_->[1]"
            && !-e "shared/include/$_->[1]" && $_->[1] !~ /^ngx_/ }
        map { my $file = $_; map { [$file, $_] } includes($file) }
        glob "$process/*.[ch]";
    is_deeply(\@others, [], "$process/ includes its own headers and shared/'s");
}

# eventsync.h declares what several folders define for producers.
my (%declared, %defined);
for my $file (grep { !m{^shared/include/} } glob 'shared/*/*.[ch]') {
    my ($folder) = $file =~ m{^shared/(\w+)/};
    my $code = slurp($file) =~ s{/\*.*?\*/}{}gsr;
    if ($file =~ /h$/) {
        $declared{$_}{$folder} = 1
            for $code =~ /^(?!static|typedef)\w[\w *]*?\b(es_\w+)\([^{};]*\);/mg;
    }
    else {
        my %static = map { $_ => 1 } $code =~ /^static [^;={(]*?\b(es_\w+)\(/mg;
        $defined{$_} = $folder for grep { !$static{$_} } $code =~ /^(es_\w+)\(/mg;
    }
}
cmp_ok(scalar keys %declared, '>', 400, 'the declarations of shared/ are found');
is_deeply([ grep { !exists $declared{$_}{$defined{$_} // q{}} }
    sort keys %declared ], [],
    'each function is declared in the folder that defines it');

push @{ $guard{$_->[1]} }, $_->[0]
    for map { my $file = $_; map { [$file, $_] } slurp($file)
        =~ /^#ifndef (\w+_H(?:_INCLUDED_)?)$/m }
    split /\n/, `git ls-files '*.h' 2>/dev/null || find . -name '*.h'`;
is_deeply([ map { "$_: @{ $guard{$_} }" }
    grep { @{ $guard{$_} } > 1 } sort keys %guard ], [],
    'no two headers have the same include guard');

done_testing();

sub includes {
    my ($file) = @_;
    return slurp($file) =~ /^\s*#\s*include\s+"([^"]+)"/mg;
}

sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}
